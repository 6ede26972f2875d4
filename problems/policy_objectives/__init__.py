"""Objectives of reinforcement learning, learned by really training agents with each candidate.

========================================  =======================================================================
file                                      holds
========================================  =======================================================================
:mod:`policy_objective`                   training agents with a learned drift; PPO's and DPO's
:mod:`learned_policy_objective`           drift functions as formulas
:mod:`learned_policy_objective_network`   drift functions as small networks
:mod:`actor_critic`                       the agents
:mod:`networks`                           actor and critic, and what is random in their actions
:mod:`environment_set`                    several environments as one, so that one program trains agents in all
:mod:`rated_environments`                 where they are trained, and how they are rated
:mod:`objective_pictures`                 pictures of a drift
========================================  =======================================================================
"""
