"""Vision: few-shot segmentation, landmarks and detection; pictures and clips by coordinate networks.

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
:mod:`images`                  characters and digits to learn from
:mod:`video_prediction`        initial weights of a network of motion
:mod:`clips`                   clips of characters that move
=============================  ===========================================
"""
