"""Deployment: chips as data, quantised networks, placement and utilization; torch-free."""
