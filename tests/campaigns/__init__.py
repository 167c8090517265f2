"""Programs that run for minutes to hours, each with a tox environment of its own.

The tests beside the packages here are the short form of each, which every run of tox includes.
"""
