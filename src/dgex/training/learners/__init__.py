"""What is trained and how it steps: plain PyTorch, CUDA kernels, units divided over processes; prediction."""
