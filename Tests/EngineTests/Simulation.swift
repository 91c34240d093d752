import Engine
import Step
import Testing

/// Plays the engine around a bare scheduler: plan, run, greedy choice, commit, remove.
struct Simulation {
    struct Client {
        let prompt: [Int32]
        let carried: [Int32]
        let stop: StopRules
        var choice: Int32
        var output: [Int32] = []
        var end: SequenceEnd?
    }

    var scheduler: Scheduler
    let runner: HashRunner
    let key = HashKey(k0: 1, k1: 2)
    /// By slot.
    var live: [Int32: Client] = [:]
    var finished: [Client] = []
    var order: UInt64 = 0

    init(model: HashModel, blockSize: Int, blockCount: Int, limits: SchedulerLimits, prefixCaching: Bool = true) {
        runner = HashRunner(model: model, blockSize: blockSize, blockCount: blockCount)
        let cache = KVCache(spec: runner.kvCache, prefixCaching: prefixCaching, key: key)
        scheduler = Scheduler(limits: limits, cache: cache)
    }

    @discardableResult
    mutating func submit(
        _ prompt: [Int32], carried: [Int32] = [], maxTokens: Int, eos: Int32? = nil, choices: Int = 1, priority: Int = 0,
        maxLength: Int = 1 << 20
    ) -> Int32 {
        let root = BlockHash.root(cacheSalt: nil, loraID: nil, key: key)
        var hashes: [BlockHash] = []
        let known = prompt + carried
        let size = runner.kvCache.blockSize
        for block in 0..<known.count / size {
            hashes.append(.next(after: hashes.last ?? root, tokens: known[block * size..<(block + 1) * size], key: key))
        }
        var stop = StopRules(maxLength: maxLength)
        stop.maxTokens = maxTokens
        if let eos { stop.eos = [eos] }
        let blocks = SequenceBlocks(groupCount: runner.kvCache.groups.count, hashes: hashes, root: root)
        var new = NewSequence(prompt: prompt, blocks: blocks, stop: stop, order: order)
        order += 1
        new.outputSoFar = carried
        new.priority = priority
        new.moreChoices = choices - 1
        let slot = scheduler.submit(new)
        live[slot] = Client(prompt: prompt, carried: carried, stop: stop, choice: 0)
        return slot
    }

    /// - Returns: false when there was nothing to do.
    mutating func step() throws -> Bool {
        let isPlanned = scheduler.plan()
        if isPlanned {
            let logits = try runner.run(scheduler.step.batch)
            var tokens = Array(repeating: Int32(-1), count: scheduler.step.draws.count)
            for (index, row) in scheduler.step.rows.enumerated() {
                let values = logits[index * runner.vocabularySize..<(index + 1) * runner.vocabularySize]
                let best = values.indices.max { values[$0] < values[$1] }! - values.startIndex
                for draw in Int(row.firstDraw)..<Int(row.firstDraw + row.drawCount) {
                    tokens[draw] = (Int32(best) + scheduler.step.draws[draw].choice) % Int32(runner.vocabularySize)
                }
            }
            scheduler.commit(tokens)
            for spawn in scheduler.committed.spawns {
                var client = try #require(live[spawn.parent])
                client.choice = spawn.choice
                client.output = []
                live[spawn.slot] = client
            }
            for token in scheduler.committed.tokens {
                if token.draw >= 0 { live[token.slot]!.output.append(token.token) }
                if let end = token.end { finish(token.slot, end) }
            }
        }
        let exhausted = scheduler.step.exhausted
        for slot in exhausted where live[slot] != nil { finish(slot, .cacheCapacity) }
        try checkConservation()
        return isPlanned || !exhausted.isEmpty
    }

    mutating func run(steps limit: Int = 100_000) throws {
        var steps = 0
        while try step() {
            steps += 1
            try #require(steps < limit, "the simulation does not end")
        }
        try #require(scheduler.isIdle, "nothing is planned though \(scheduler.waiting.count) wait")
    }

    private mutating func finish(_ slot: Int32, _ end: SequenceEnd) {
        var client = live.removeValue(forKey: slot)!
        client.end = end
        finished.append(client)
        scheduler.remove(slot)
    }

    mutating func abort(_ slot: Int32) {
        live[slot] = nil
        scheduler.remove(slot)
    }

    /// Free + held = total, and every reference is some table's.
    func checkConservation() throws {
        let pool = scheduler.cache.pool
        var references = Array(repeating: 0, count: pool.count)
        for slot in live.keys {
            for table in scheduler.sequences[Int(slot)].blocks.tables {
                for block in table.blocks where block != 0 { references[Int(block)] += 1 }
            }
        }
        var held = 0
        for id in 1..<pool.count {
            try #require(pool.references(Int32(id)) == references[id], "block \(id)")
            if references[id] > 0 { held += 1 }
        }
        try #require(pool.freeCount + held == pool.count - 1)
        try #require(pool.freeList.count == pool.freeCount)
    }

    /// Every finished client has exactly the tokens of the model run alone.
    func checkOutputs() {
        for client in finished {
            let known = client.prompt + client.carried
            let expected = runner.model.continuation(
                of: known, limit: min(client.stop.maxTokens - client.carried.count, client.stop.maxLength - known.count), end: client.stop.eos.first, choice: client.choice)
            if client.end == .cacheCapacity {
                #expect(Array(expected.prefix(client.output.count)) == client.output)
            } else {
                #expect(client.output == expected, "prompt of \(client.prompt.count), choice \(client.choice), end \(String(describing: client.end))")
            }
        }
    }
}
