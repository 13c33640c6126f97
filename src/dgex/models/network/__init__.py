"""The paper's multi-task network, and residual networks."""
