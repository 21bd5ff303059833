"""What a flatbuffer will cost on a device that is not here: memory, instructions, bytes moved, time."""
