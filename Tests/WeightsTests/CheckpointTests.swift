import Tensors
import Testing
import Weights

struct CheckpointTests {
    private func shard(_ path: String, _ names: [String]) throws {
        try SafetensorsWriter.write(to: path, try names.map { ($0, try tensor(.f32, [4, 2])) })
    }

    @Test func singleFile() throws {
        try withFolder { folder in
            try shard(folder + "/model.safetensors", ["a"])
            try shard(folder + "/other.safetensors", ["b"])
            let checkpoint = try Checkpoint.open(folder)
            #expect(checkpoint.names == ["a"] && checkpoint.format == .safetensors && checkpoint.byteCount == 32)
            #expect(try Checkpoint.open(folder + "/other.safetensors").names == ["b"])
            #expect(message { _ = try checkpoint.config() }.hasSuffix("there is no config.json"))
            try write(#"{"hidden_size": 7}"#, to: folder + "/config.json")
            #expect(try checkpoint.config().int("hidden_size") == 7)
            #expect(try Checkpoint.open(folder + "/other.safetensors").config().int("hidden_size") == 7)
            #expect(try checkpoint.generationConfig() == GenerationConfig())
        }
    }

    @Test func shardsWithIndex() throws {
        try withFolder { folder in
            try shard(folder + "/x.safetensors", ["a", "b"])
            try shard(folder + "/y.safetensors", ["c"])
            let index = folder + "/model.safetensors.index.json"
            try write(#"{"weight_map":{"c":"y.safetensors","a":"x.safetensors","b":"x.safetensors"}}"#, to: index)
            let checkpoint = try Checkpoint.open(folder)
            #expect(Set(checkpoint.names) == ["a", "b", "c"])
            #expect(try checkpoint.tensor("b").shape == [4, 2])
            try write(#"{"weight_map":{"c":"x.safetensors"}}"#, to: index)
            #expect(message { _ = try Checkpoint.open(folder) }.hasSuffix("'c': should be in x.safetensors, but is not"))
            try write(#"{"weight_map":{"c":"z.safetensors"}}"#, to: index)
            #expect(message { _ = try Checkpoint.open(folder) }.contains("is the download complete?"))
            for (text, expected) in [
                (#"{"weight_map":{"c":"../x.safetensors"}}"#, "no file of this folder"), (#"{"weight_map":{"c":"/x.safetensors"}}"#, "no file of"),
                (#"{"weight_map":{"c":"x.bin"}}"#, "no file of"), (#"{"weight_map":{}}"#, "is empty"), (#"{}"#, "no weight_map"),
                (#"{"weight_map":{"c":"y.safetensors","c":"y.safetensors"}}"#, "appears twice"), (#"{"weight_map":3}"#, "expected an object"),
                (#"{"weight_map":{"c":"y.safetensors"}"#, "expected ',' or '}'"),
            ] {
                try write(text, to: index)
                let found = message { _ = try Checkpoint.open(folder) }
                #expect(found.contains(expected) && found.contains("index.json"), "\(found)")
            }
        }
    }

    @Test func shardsWithoutIndex() throws {
        try withFolder { folder in
            try shard(folder + "/model-00001-of-00003.safetensors", ["a"])
            try shard(folder + "/model-00003-of-00003.safetensors", ["c"])
            #expect(message { _ = try Checkpoint.open(folder) }.contains("model-00002-of-00003.safetensors: no such file"))
            try shard(folder + "/model-00002-of-00003.safetensors", ["b"])
            #expect(try Checkpoint.open(folder).names == ["a", "b", "c"])
            try shard(folder + "/model-00002-of-00003.safetensors", ["c"])
            let found = message { _ = try Checkpoint.open(folder) }
            #expect(found.contains("tensor 'c' is in") && found.contains("00002-of-00003") && found.contains("00003-of-00003"))
            try shard(folder + "/model-00001-of-00002.safetensors", ["z"])
            #expect(message { _ = try Checkpoint.open(folder) }.contains("several models"))
        }
    }

    @Test func nothingToOpen() throws {
        try withFolder { folder in
            #expect(message { _ = try Checkpoint.open(folder) }.contains("holds no model"))
            #expect(message { _ = try Checkpoint.open(folder + "/x") } == folder + "/x: no such file")
            try write("hello", to: folder + "/x.bin")
            #expect(message { _ = try Checkpoint.open(folder) }.contains("convert them to safetensors"))
            #expect(message { _ = try Checkpoint.open(folder + "/x.bin") }.contains("neither a model folder"))
            try write("", to: folder + "/model.safetensors")
            #expect(message { _ = try Checkpoint.open(folder) }.hasSuffix("model.safetensors: is empty"))
        }
    }

    @Test func splitGGUF() throws {
        func part(_ path: String, _ number: UInt16, of count: UInt16, _ names: [String], total: Int32 = 3) throws {
            let metadata: [(String, GGUFValue)] = [
                ("split.no", .u16(number)), ("split.count", .u16(count)), ("split.tensors.count", .i32(total)),
            ] + (number == 0 ? [("general.architecture", .string("llama"))] : [])
            try GGUFWriter.write(to: path, try names.map { ($0, try tensor(.f32, [4])) }, metadata: metadata)
        }
        try withFolder { folder in
            let name = folder + "/m-0000"
            try part(name + "1-of-00002.gguf", 0, of: 2, ["a", "b"])
            #expect(message { _ = try Checkpoint.open(folder) }.hasSuffix("m-00002-of-00002.gguf: no such file"))
            try part(name + "2-of-00002.gguf", 1, of: 2, ["c"])
            let checkpoint = try Checkpoint.open(folder)
            #expect(checkpoint.names == ["a", "b", "c"] && checkpoint.format == .gguf)
            let second = try Checkpoint.open(name + "2-of-00002.gguf")
            #expect(try second.names == ["a", "b", "c"] && second.gguf?.architecture == "llama")
            try part(name + "2-of-00002.gguf", 1, of: 2, ["a"])
            #expect(message { _ = try Checkpoint.open(folder) }.contains("tensor 'a' is in"))
            try part(name + "2-of-00002.gguf", 0, of: 2, ["c"])
            #expect(message { _ = try Checkpoint.open(folder) }.contains("the file's name says part 2"))
            try part(name + "2-of-00002.gguf", 1, of: 2, ["c", "d"])
            #expect(message { _ = try Checkpoint.open(folder) }.contains("the parts hold 4 tensors"))
            try part(folder + "/odd.gguf", 0, of: 2, ["a"])
            #expect(message { _ = try Checkpoint.open(folder + "/odd.gguf") }.contains("its name does not end in"))
            #expect(message { _ = try Checkpoint.open(folder) }.contains("several GGUF models"))
        }
    }

    @Test func openFiles() throws {
        let safetensors = try SafetensorsFile(file: try mapped(try SafetensorsWriter.bytes([("a", try tensor(.f32, [4]))])))
        let checkpoint = try Checkpoint(safetensors)
        checkpoint.advise(.willNeed)
        #expect(try checkpoint.tensor("a").count == 4 && checkpoint.folder == nil)
        #expect(throws: LoadError.self) { try checkpoint.config() }
        #expect(try checkpoint.vocabulary() == nil)
        let gguf = try Checkpoint(try GGUFFile(file: try mapped(try GGUFWriter.bytes([("b", try tensor(.f32, [4]))], metadata: []))))
        #expect(gguf.names == ["b"] && gguf.format == .gguf)
    }

    @Test func renaming() throws {
        try withFolder { folder in
            try shard(folder + "/model.safetensors", ["transformer.a", "b"])
            let checkpoint = try Checkpoint.open(folder)
            let renamed = try checkpoint.renamed { $0.hasPrefix("transformer.") ? String($0.dropFirst(12)) : nil }
            #expect(renamed.contains("a") && renamed.contains("b") && !renamed.contains("transformer.a"))
            #expect(throws: LoadError.self) { try checkpoint.renamed { _ in "same" } }
        }
    }
}

struct WeightScopeTests {
    private func withCheckpoint(_ body: (Checkpoint) throws -> Void) throws {
        try withFolder { folder in
            try SafetensorsWriter.write(to: folder + "/model.safetensors", [
                ("model.layers.0.q.weight", try tensor(.f32, [4, 2])), ("model.layers.0.rotary.inv_freq", try tensor(.f32, [2])),
                ("model.layers.10.q.weight", try tensor(.bf16, [4, 2])), ("head", try tensor(.u8, [6, 4])),
            ])
            try body(try Checkpoint.open(folder))
        }
    }

    @Test func walkingAndCountingOff() throws {
        try withCheckpoint { checkpoint in
            let weights = checkpoint.weights()
            let layer = weights["model"]["layers"][0]
            #expect(layer.prefix == "model.layers.0." && layer.contains("q.weight") && !layer.contains("k.weight"))
            #expect(Set(layer.names) == ["q.weight", "rotary.inv_freq"])
            #expect(weights[""].prefix == "")
            #expect(try layer["q"].tensor("weight", shape: [4, 2]).count == 8)
            #expect(message { _ = try layer.tensor("k.weight") }.hasSuffix("tensor 'model.layers.0.k.weight' is missing"))
            #expect(message { _ = try layer.tensor("q.weight", shape: [2, 4]) }
                .hasSuffix("tensor 'model.layers.0.q.weight' has shape [4, 2], but the configuration asks for [2, 4]"))
            #expect(try layer.optional("k.weight") == nil)
            #expect(Set(weights.unused()) == ["model.layers.0.rotary.inv_freq", "model.layers.10.q.weight", "head"])
            #expect(Set(weights.unused(ignoring: ["*.inv_freq", "model.layers.1*"])) == ["head"])
            #expect(message { try weights.requireAllUsed(ignoring: ["*.inv_freq", "model.*"]) }.contains("1 tensors are not used"))
            weights.ignore("head")
            try weights.requireAllUsed(ignoring: ["*.inv_freq", "model.*"])
        }
    }

    @Test func shards() throws {
        try withCheckpoint { checkpoint in
            let second = checkpoint.weights(Shard(rank: 1, count: 2))
            let rows = try second.tensor("head", shape: [6, 4], split: 0)
            #expect(rows.shape == [3, 4] && Array(rows.bytes) == Array(12..<24))
            let columns = try second.tensor("head", shape: [6, 4], split: 1)
            #expect(columns.shape == [6, 2] && Array(columns.bytes.prefix(4)) == [2, 3, 6, 7])
            #expect(try second.tensor("head").shape == [6, 4] && second.whole.tensor("head", split: 0).shape == [6, 4])
            let odd = checkpoint.weights(Shard(rank: 0, count: 4))
            #expect(message { _ = try odd.tensor("head", split: 0) }.contains("tensor 'head' cannot be split: dimension 0"))
            #expect(try checkpoint.slice("head", dimension: 0, rank: 1, of: 3).shape == [2, 4])
        }
    }

    @Test func patterns() {
        #expect(NamePattern("*.bias").matches("h.0.attn.bias") && !NamePattern("*.bias").matches("h.0.attn.bias2"))
        #expect(NamePattern("h.*.attn.bias").matches("h.10.attn.bias") && !NamePattern("h.*.attn.bias").matches("g.10.attn.bias"))
        #expect(NamePattern("*").matches("") && NamePattern("").matches("") && !NamePattern("").matches("a"))
        #expect(NamePattern("a*b*c").matches("aXbXbc") && !NamePattern("a*b*c").matches("aXcXb"))
    }
}
