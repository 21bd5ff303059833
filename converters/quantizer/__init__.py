"""A float flatbuffer in narrow numbers: ranges observed, a type for each operator, written by TFLite's rules."""
