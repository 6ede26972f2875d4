"""Problems: what judges ω; one a file, each naming the branch of meta-learning it stands for."""
