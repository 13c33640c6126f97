"""What the machine is and can: devices, memory, rates, precision and threads."""
