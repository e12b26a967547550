"""
The benchmark: C{make bench}, or C{python -m tests.bench}.

It starts services, tunnelkit and what that is compared with on this machine, puts each
under the same load in turn, several rounds of it, and shows what each made beside what
docs/performance.rst promises.  Nothing here asserts a time: it is run by people, and
only its own logic is tested.

From the ground up: C{figures} and C{results} say what is measured and what came of it;
C{table} and C{picture} show that, C{machine} and C{neighbours} what
it holds for; C{stage}, C{procfs} and C{services} start
what is needed; C{ways} and C{peers} are the ways to a service that are compared;
C{visitors} and C{loads} use them, C{measures} makes figures of that, and C{rounds}
does it all in turn.
"""
