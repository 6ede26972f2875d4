"""Vision: few-shot segmentation, landmarks and detection; pictures by coordinate networks.

=============================  ===========================================
file                           holds
=============================  ===========================================
:mod:`few_shot_segmentation`   an embedding in which textures are separated
:mod:`textures`                images of several textures
:mod:`landmark_prediction`     an embedding that recognises a point
:mod:`figures`                 line figures, turned, scaled and bent
:mod:`few_shot_detection`      an embedding that finds like characters
:mod:`canvases`                canvases of many characters
:mod:`precision`               average precision of detections
:mod:`panels`                  pictures of examples and queries
:mod:`image_completion`        initial weights of a coordinate network
=============================  ===========================================
"""
