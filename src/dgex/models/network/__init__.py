"""The paper's multi-task network."""
