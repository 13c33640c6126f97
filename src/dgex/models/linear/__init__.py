"""Linear regression from second moments: plain, ridge, lasso."""
