"""What the scenario tests stand on: servers, certificates, databases, clients."""
