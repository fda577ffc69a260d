"""The conductor: takes operations from the journal and runs their workflows; hears the agents; sweeps."""
