"""Test settings shared by every folder: the binary under test and the marks."""


def pytest_configure(config):
    config.addinivalue_line("markers", "main: the main path, also run against the sanitizer builds")
