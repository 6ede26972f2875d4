"""Vision: few-shot segmentation and landmarks.

=============================  ===========================================
file                           holds
=============================  ===========================================
:mod:`few_shot_segmentation`   an embedding in which textures are separated
:mod:`textures`                images of several textures
:mod:`landmark_prediction`     an embedding that recognises a point
:mod:`figures`                 line figures, turned, scaled and bent
:mod:`panels`                  pictures of examples and queries
=============================  ===========================================
"""
