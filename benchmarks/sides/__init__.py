"""The sides: for each, the tasks its worker runs and the verbs its client knows. Each runs in processes of its own."""
