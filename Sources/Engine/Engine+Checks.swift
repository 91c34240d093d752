internal import Step
internal import Sampling

extension Engine {
    /// Everything that can be refused without asking the engine's thread.
    func check(_ request: EngineRequest) throws(EngineError) {
        guard (request.pooling != nil) == (pooled != nil) else { throw .wrongTask(modelPools: pooled != nil) }
        do {
            try request.sampling.validate(vocabularySize: vocabularySize, limits: configuration.sampling)
        } catch {
            throw .invalidParameter(error)
        }
        guard !request.promptTokenIDs.isEmpty else { throw .emptyPrompt }
        var position = 0
        for ids in [request.promptTokenIDs, request.outputTokensSoFar] {
            for id in ids {
                guard id >= 0, Int(id) < vocabularySize else {
                    throw .tokenOutOfRange(token: id, position: position, vocabularySize: vocabularySize)
                }
                position += 1
            }
        }
        if request.sampling.n > 1, !request.outputTokensSoFar.isEmpty {
            throw .invalidParameter(
                ParameterError(
                    "n", value: String(request.sampling.n),
                    "must be 1 when output tokens are carried over; send each choice on its own with its own seed"))
        }
        let known = position
        // What is carried over may have reached the end already.
        let extra = request.sampling.maxTokens == 0 || !request.outputTokensSoFar.isEmpty ? 0 : 1
        guard known + extra <= configuration.maxModelLength else {
            throw .promptTooLong(tokens: known, maxModelLength: configuration.maxModelLength)
        }
        guard capacity.fits(tokens: known) else {
            throw .promptExceedsCache(tokens: known, capacity: capacity.tokens)
        }
    }
}

extension BlockHash {
    /// Stands before the first block of a request's sequences.
    static func root(of request: EngineRequest, _ spec: KVCacheSpec, key: HashKey) -> BlockHash {
        let length = request.promptTokenIDs.count
        let depends = spec.lengthDependentBeyond.map { length > $0 } ?? false
        return root(cacheSalt: request.cacheSalt, loraID: request.loraID, promptLength: depends ? length : nil, key: key)
    }

    /// Hashes of the full blocks of `tokens`.
    static func chain(over tokens: [Int32], of request: EngineRequest, _ spec: KVCacheSpec, key: HashKey) -> [BlockHash] {
        var hashes: [BlockHash] = []
        let blockSize = spec.blockSize
        hashes.reserveCapacity(tokens.count / blockSize)
        var parent = root(of: request, spec, key: key)
        var start = 0
        while start + blockSize <= tokens.count {
            parent = next(after: parent, tokens: tokens[start..<start + blockSize], key: key)
            hashes.append(parent)
            start += blockSize
        }
        return hashes
    }
}
