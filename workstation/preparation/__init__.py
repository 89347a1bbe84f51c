"""What is made of a series before anybody looks: a proposal, neither archived, recorded nor charged."""
