module github.com/zeebo/blake3

go 1.26.0
