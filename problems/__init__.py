"""Problems: what ω is and how it is evaluated; one per file, arranged by branch of meta-learning.

=============================================  =======================================================
problem                                        branch of meta-learning
=============================================  =======================================================
:class:`Sinusoid`                              learned initialisations and step sizes, few-shot
:class:`DigitsHyperparameters`                 hyperparameter optimisation, of gradient descent
:class:`BoostingHyperparameters`               hyperparameter optimisation, without gradients
:class:`DecisionTree`,                         hyperparameters of learners without gradients
:class:`BinaryNetwork`
:class:`CommandProblem`                        hyperparameter optimisation, of any program
:class:`HyperparameterSchedule`                hyperparameters over time
:class:`NoisyQuadratic`                        the same, with a known optimum
:class:`LearnedOptimizer`                      learned optimizers
:class:`HeterogeneousLearning`                 learned optimizers, across modalities
:class:`LearnedEvolutionStrategy`              learned black-box optimizers
:class:`Bandit`                                black-box learners, recurrent
:class:`SinusoidHypernetwork`                  black-box learners, hypernetworks
:class:`OmniglotInitialisation`                learned initialisations and step sizes, few-shot vision
:class:`OmniglotPrototypes`                    learned embeddings, few-shot vision
:class:`LearnedLoss`                           learned losses, as formulas
:class:`LearnedLossTaylor`                     learned losses, as polynomials
:class:`LearnedLossNetwork`                    learned losses, as networks
:class:`LearnedUpdateRule`                     learned optimizers, as formulas
:class:`LearnedActivation`                     architectures: activations, as formulas
:class:`ArchitectureSearch`,                   architectures: cells of operations
:class:`ArchitectureTable`
:class:`XOR`, :class:`DoublePole`              architectures: topology
:class:`DoublePoleNoVelocities`                architectures: topology, with memory
:class:`CartPoleSwingUp`,                      control: weights of a policy
:class:`GymnaxPolicy`,
:class:`GymnasiumPolicy`
:class:`Navigation`, :class:`Locomotion`        learned initialisations, reinforcement learning
:class:`LearnedPolicyObjective`,               learned losses, of reinforcement learning
:class:`LearnedPolicyObjectiveNetwork`
:class:`MazeExplorer`                          black-box learners, recurrent
:class:`MazeLayout`                            control: a map of a maze
:class:`SimulatorParameters`                   environments: simulators
:class:`SwitchingBandit`,                      online: changing tasks
:class:`DriftingRegression`
:class:`MultimodalRegression`                  learned initialisations, several families of tasks
:class:`DensityEstimation`                     learned initialisations, of a normalising flow
:class:`BayesianPrior`                         Bayesian: learned priors
:class:`FewShotSegmentation`,                  few-shot vision
:class:`LandmarkPrediction`,
:class:`FewShotDetection`
:class:`ImageCompletion`,                      learned initialisations and step sizes, graphics
:class:`VideoPrediction`
:class:`IncrementalSinusoids`,                 continual learning
:class:`IncrementalOmniglot`
:class:`AuxiliaryTasks`                        auxiliary tasks
:class:`Hypercleaning`                         hyperparameters: data cleansing
:class:`DataAugmentation`                      training data: augmentation
:class:`DatasetDistillation`                   training data: dataset distillation
:class:`SampleSelection`                       training data: sample selection
:class:`Curriculum`                            training data: curricula
:class:`SymbolicRegression`                    none: the formula itself is the learner
:class:`InfluenceBalancing`                    truncation of long inner training
:class:`Sphere`, :class:`Rosenbrock`,          none: plain optimisation with a known optimum
:class:`Ellipsoid`, :class:`Rastrigin`
:class:`ZDT1`, :class:`ZDT2`, :class:`ZDT3`,   the same, with two objectives
:class:`ZDT4`, :class:`ZDT6`
:class:`DTLZ2`                                 the same, with any number of objectives
:class:`LinearProjection`                      the same, with measures for an archive
=============================================  =======================================================

The engine imports none of them; they import only the engine.
"""

from evometa.problems.architectures.architecture_search import ArchitectureSearch
from evometa.problems.architectures.architecture_table import (
    ArchitectureTable,
    read_architecture_table,
    train_all,
    write_architecture_table,
)
from evometa.problems.architectures.learned_activation import LearnedActivation
from evometa.problems.architectures.xor import XOR
from evometa.problems.commands.command_problem import CommandProblem
from evometa.problems.commands.space_file import CommandSpace
from evometa.problems.continual.incremental_omniglot import IncrementalOmniglot
from evometa.problems.continual.incremental_sinusoids import IncrementalSinusoids
from evometa.problems.control.bandit import Bandit
from evometa.problems.control.cart_pole_swing_up import CartPoleSwingUp, SwingUp
from evometa.problems.control.double_pole import DoublePole
from evometa.problems.control.double_pole_no_velocities import DoublePoleNoVelocities
from evometa.problems.control.gymnasium_policy import GymnasiumPolicy
from evometa.problems.control.gymnax_policy import GymnaxPolicy
from evometa.problems.control.locomotion import Locomotion
from evometa.problems.control.maze_explorer import MazeExplorer
from evometa.problems.control.maze_layout import MazeLayout
from evometa.problems.control.mazes import Maze
from evometa.problems.control.navigation import Navigation
from evometa.problems.control.point_robot import PointRobot
from evometa.problems.few_shot.omniglot_initialisation import OmniglotInitialisation
from evometa.problems.few_shot.omniglot_prototypes import OmniglotPrototypes
from evometa.problems.few_shot.sinusoid import AdaptationCurves, Sinusoid, adaptation_curves
from evometa.problems.few_shot.sinusoid_hypernetwork import SinusoidHypernetwork
from evometa.problems.functions.dtlz import DTLZ2
from evometa.problems.functions.influence_balancing import InfluenceBalancing
from evometa.problems.functions.linear_projection import LinearProjection
from evometa.problems.functions.symbolic_regression import SymbolicRegression
from evometa.problems.functions.test_functions import Ellipsoid, Rastrigin, Rosenbrock, Sphere
from evometa.problems.functions.zdt import ZDT1, ZDT2, ZDT3, ZDT4, ZDT6
from evometa.problems.hyperparameters.binary_network import BinaryNetwork
from evometa.problems.hyperparameters.boosting_hyperparameters import BoostingHyperparameters
from evometa.problems.hyperparameters.decision_tree import DecisionTree
from evometa.problems.hyperparameters.digits_hyperparameters import DigitsHyperparameters
from evometa.problems.hyperparameters.hyperparameter_schedule import HyperparameterSchedule
from evometa.problems.hyperparameters.noisy_quadratic import NoisyQuadratic
from evometa.problems.losses.learned_loss import LearnedLoss
from evometa.problems.losses.learned_loss_network import LearnedLossNetwork
from evometa.problems.losses.learned_loss_taylor import LearnedLossTaylor
from evometa.problems.optimizers.heterogeneous_learning import HeterogeneousLearning
from evometa.problems.optimizers.learned_evolution_strategy import LearnedEvolutionStrategy
from evometa.problems.optimizers.learned_optimizer import LearnedOptimizer
from evometa.problems.optimizers.learned_update_rule import LearnedUpdateRule
from evometa.problems.policy_objectives.learned_policy_objective import LearnedPolicyObjective
from evometa.problems.policy_objectives.learned_policy_objective_network import LearnedPolicyObjectiveNetwork
from evometa.problems.regression.bayesian_prior import BayesianPrior
from evometa.problems.regression.density_estimation import DensityEstimation
from evometa.problems.regression.multimodal_regression import MultimodalRegression
from evometa.problems.simulators.simulator_parameters import SimulatorParameters
from evometa.problems.streams.drifting_regression import DriftingRegression
from evometa.problems.streams.switching_bandit import SwitchingBandit
from evometa.problems.training_data.auxiliary_tasks import AuxiliaryTasks
from evometa.problems.training_data.curriculum import Curriculum
from evometa.problems.training_data.data_augmentation import DataAugmentation
from evometa.problems.training_data.dataset_distillation import DatasetDistillation
from evometa.problems.training_data.hypercleaning import Hypercleaning
from evometa.problems.training_data.sample_selection import SampleSelection
from evometa.problems.vision.few_shot_detection import FewShotDetection
from evometa.problems.vision.few_shot_segmentation import FewShotSegmentation
from evometa.problems.vision.image_completion import ImageCompletion
from evometa.problems.vision.landmark_prediction import LandmarkPrediction
from evometa.problems.vision.video_prediction import VideoPrediction

__all__ = [
    "DTLZ2",
    "XOR",
    "ZDT1",
    "ZDT2",
    "ZDT3",
    "ZDT4",
    "ZDT6",
    "AdaptationCurves",
    "ArchitectureSearch",
    "ArchitectureTable",
    "AuxiliaryTasks",
    "Bandit",
    "BayesianPrior",
    "BinaryNetwork",
    "BoostingHyperparameters",
    "CartPoleSwingUp",
    "CommandProblem",
    "CommandSpace",
    "Curriculum",
    "DataAugmentation",
    "DatasetDistillation",
    "DecisionTree",
    "DensityEstimation",
    "DigitsHyperparameters",
    "DoublePole",
    "DoublePoleNoVelocities",
    "DriftingRegression",
    "Ellipsoid",
    "FewShotDetection",
    "FewShotSegmentation",
    "GymnasiumPolicy",
    "GymnaxPolicy",
    "HeterogeneousLearning",
    "Hypercleaning",
    "HyperparameterSchedule",
    "ImageCompletion",
    "IncrementalOmniglot",
    "IncrementalSinusoids",
    "InfluenceBalancing",
    "LandmarkPrediction",
    "LearnedActivation",
    "LearnedEvolutionStrategy",
    "LearnedLoss",
    "LearnedLossNetwork",
    "LearnedLossTaylor",
    "LearnedOptimizer",
    "LearnedPolicyObjective",
    "LearnedPolicyObjectiveNetwork",
    "LearnedUpdateRule",
    "LinearProjection",
    "Locomotion",
    "Maze",
    "MazeExplorer",
    "MazeLayout",
    "MultimodalRegression",
    "Navigation",
    "NoisyQuadratic",
    "OmniglotInitialisation",
    "OmniglotPrototypes",
    "PointRobot",
    "Rastrigin",
    "Rosenbrock",
    "SampleSelection",
    "SimulatorParameters",
    "Sinusoid",
    "SinusoidHypernetwork",
    "Sphere",
    "SwingUp",
    "SwitchingBandit",
    "SymbolicRegression",
    "VideoPrediction",
    "adaptation_curves",
    "read_architecture_table",
    "train_all",
    "write_architecture_table",
]
