"""The backend: the machine, devices, and computations that JAX alone does not do fast.

The lowest room: it knows nothing of problems, strategies or searches.

===================  =======================================================
file                 holds
===================  =======================================================
:mod:`container`     the cores and the memory that this process may use
:mod:`devices`       one JAX device for each CPU core
:mod:`chunks`        a population spread over devices and walked in chunks
:mod:`slices`        long vectors of which each device has a slice
:mod:`entrywise`     whether a function can be applied to parts of vectors
:mod:`kernels`       many small steps as one piece of machine code
:mod:`convolution`   convolution for many small networks at once
:mod:`flops`         the arithmetic of a JAX function, counted
:mod:`loop_lengths`  how often a loop that ends by a condition runs at most
:mod:`jaxprs`        jaxprs as flat lists of equations
:mod:`ranks`         several processes that compute as one, and how they agree
:mod:`collectives`   where they listen for one another on CPUs
:mod:`precision`     float64 whatever JAX's switch, and keys of 64-bit seeds
===================  =======================================================
"""
