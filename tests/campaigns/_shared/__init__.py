"""Parts of several campaigns: the suite in forked processes, kept results, certificates, tables.

`forked_suite` runs the suite on many implementations for the price of one start (`bench` is the
process that does it); `result_cache` keeps results between runs; `certifying` is for campaigns that
need a fresh process; `markdown` writes the pages.
"""
