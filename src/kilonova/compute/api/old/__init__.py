"""What compute did for other services before they had APIs of their own: images, networks, floating addresses,
security groups. Each request is carried to the service whose it is, with the caller's token, and its answer is
shown in the old shape. Up to microversion 2.35 (metadata of images: 2.38).
"""
