import Tokenizers
print("x")
