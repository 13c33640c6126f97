"""Files at URLs: named without their secrets, read by parts or fetched whole, and results sent there."""
