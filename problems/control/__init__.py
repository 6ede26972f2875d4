"""Control: learners that act, and are told what they earned.

================================  ===========================================
file                              holds
================================  ===========================================
:mod:`policy_search`              what searches for the weights of a policy have in common
:mod:`episode_pictures`           pictures of episodes
:mod:`cart_pole_swing_up`         a pole that hangs from a cart, to be swung up
:mod:`gymnax_policy`              the environments of gymnax, compiled
:mod:`gymnasium_policy`           the environments of Gymnasium, in plain Python
:mod:`double_pole`                two poles on a cart, by a topology
:mod:`double_pole_no_velocities`  the same by a recurrent topology
:mod:`bandit`                     a recurrent learner for bandits
:mod:`navigation`                 a policy that finds a hidden goal within one or two updates
:mod:`point_robot`                its robot
:mod:`policy_gradient`            its policy, and updates by the policy gradient
:mod:`query_adaptation`           its updates by the returns of perturbed policies
:mod:`locomotion`                 a policy that is adapted to a speed by a few rollouts
:mod:`running_body`               its body, with two legs
:mod:`mazes`                      random mazes, and a robot that walks in one
:mod:`maze_layout`                a map of a maze, learned from walks
:mod:`maze_explorer`              a recurrent policy that remembers a maze
:mod:`map_policy`                 its memory: a map, and plans on it
================================  ===========================================
"""
