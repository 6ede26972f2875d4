"""Few-shot learning: initialisations, embeddings and hypernetworks.

==============================  =========================================
file                            holds
==============================  =========================================
:mod:`sinusoid`                 an initialisation for sine waves
:mod:`sinusoid_hypernetwork`    a hypernetwork for the same waves
:mod:`waves`                    sine waves as tasks
:mod:`omniglot_initialisation`  an initialisation for characters
:mod:`omniglot_prototypes`      an embedding for characters
:mod:`episodes`                 episodes of classes, examples and queries
:mod:`conv_net`                 a small convolutional network
:mod:`character_tasks`          problems that draw characters
:mod:`characters`               images of characters
:mod:`character_sources`        Omniglot's files, or made-up glyphs
:mod:`glyphs`                   made-up characters, nothing to download
:mod:`omniglot`                 Omniglot's files
==============================  =========================================
"""
