"""Maps of embeddings: t-SNE before and after an adaptation, and how far the picture can be trusted.

`neighbours` finds them exactly, `quality` measures what a map keeps and what moved, `tsne` draws, `kept` keeps what was
drawn, `reading` says what the scores mean, `folder` does it for a folder of images, `drawing` makes a picture of it.
"""
