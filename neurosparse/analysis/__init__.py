"""Comparing engines, measuring networks, drawing figures and writing reports; torch-free."""
