"""What compiles for a device, one file each."""
