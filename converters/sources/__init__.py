"""Source frameworks, one file each: model in, float flatbuffer out."""
