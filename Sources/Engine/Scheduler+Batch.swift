internal import Step

extension Scheduler {
    /// Flattens the planned entries into `step.batch` and names the rows wanted.
    mutating func buildBatch() {
        // Places that forks may take; each lead gets them in order of rank.
        var places = max(0, limits.sequences - running.count)
        for entry in step.entries {
            let index = Int(entry.slot)
            let start = sequences[index].computed
            let end = start + Int(entry.tokens)
            let firstRow = step.batch.tokenIDs.count
            step.batch.tokenIDs.append(contentsOf: sequences[index].tokens[start..<end])
            for position in start..<end { step.batch.positions.append(Int32(truncatingIfNeeded: position)) }
            step.batch.queryStarts.append(Int32(truncatingIfNeeded: step.batch.tokenIDs.count))
            step.batch.sequenceLengths.append(Int32(truncatingIfNeeded: end))
            step.batch.promptLengths.append(Int32(truncatingIfNeeded: sequences[index].promptCount))
            addTypes(sequences[index].secondSegment, start..<end, firstRow)
            step.batch.adapterIDs.append(sequences[index].adapter)
            addRows(entry.slot, start..<end, firstRow, &places)
        }
        while !step.batch.tokenTypes.isEmpty, step.batch.tokenTypes.count < step.batch.tokenIDs.count { step.batch.tokenTypes.append(0) }
        for group in cache.spec.groups.indices { buildTables(group) }
    }

    private mutating func addTypes(_ secondSegment: Int?, _ range: Range<Int>, _ firstRow: Int) {
        guard let secondSegment else { return }
        while step.batch.tokenTypes.count < firstRow { step.batch.tokenTypes.append(0) }
        for position in range { step.batch.tokenTypes.append(position < secondSegment ? 0 : 1) }
    }

    private mutating func addRows(_ slot: Int32, _ range: Range<Int>, _ firstRow: Int, _ places: inout Int) {
        let index = Int(slot)
        if let row = sequences[index].pooledRow { return addPooledRows(slot, range, firstRow, row) }
        if sequences[index].needsPromptLogprobs {
            let end = min(range.upperBound, sequences[index].promptCount - 1)
            for position in max(range.lowerBound, sequences[index].promptLogprobsDone)..<max(end, range.lowerBound, sequences[index].promptLogprobsDone) {
                step.batch.logitRows.append(Int32(truncatingIfNeeded: firstRow + position - range.lowerBound))
                step.rows.append(
                    PlannedStep.Row(
                        slot: slot, position: Int32(truncatingIfNeeded: position), isPromptLogprobs: true,
                        firstDraw: Int32(step.draws.count), drawCount: 0))
            }
        }
        guard range.upperBound == sequences[index].tokens.count, sequences[index].stop.maxTokens > 0 else { return }
        let firstDraw = step.draws.count
        let forks = min(places, sequences[index].pendingChoices.count)
        places -= forks
        for choice in sequences[index].pendingChoices.prefix(forks) { step.draws.append(PlannedStep.Draw(slot: slot, choice: choice)) }
        step.draws.append(PlannedStep.Draw(slot: slot, choice: sequences[index].rank.choice))
        step.batch.logitRows.append(Int32(truncatingIfNeeded: firstRow + range.count - 1))
        step.rows.append(
            PlannedStep.Row(
                slot: slot, position: Int32(truncatingIfNeeded: range.upperBound - 1), isPromptLogprobs: false,
                firstDraw: Int32(firstDraw), drawCount: Int32(forks + 1)))
    }

    private mutating func addPooledRows(_ slot: Int32, _ range: Range<Int>, _ firstRow: Int, _ row: PooledRow) {
        let count = sequences[Int(slot)].promptCount, isLast = range.upperBound == count
        var positions = isLast ? count - 1..<count : count..<count
        switch row {
        case .last: break
        case .first: if isLast { positions = range.lowerBound..<range.lowerBound + 1 }
        case .everyToken: positions = min(max(range.lowerBound, sequences[Int(slot)].promptLogprobsDone), range.upperBound)..<range.upperBound
        }
        for position in positions {
            step.batch.logitRows.append(Int32(truncatingIfNeeded: firstRow + position - range.lowerBound))
            step.batch.isTokenRow.append(row == .everyToken)
            step.rows.append(
                PlannedStep.Row(
                    slot: slot, position: Int32(truncatingIfNeeded: position), isPromptLogprobs: false, isPooled: true,
                    firstDraw: Int32(step.draws.count), drawCount: 0))
        }
    }

    private mutating func buildTables(_ group: Int) {
        let blockSize = cache.spec.blockSize
        var width = 0
        for entry in step.entries { width = max(width, sequences[Int(entry.slot)].blocks.tables[group].blocks.count) }
        step.batch.groups[group].maxBlocks = width
        for entry in step.entries {
            let index = Int(entry.slot)
            let start = sequences[index].computed
            let count = sequences[index].blocks.tables[group].blocks.count
            step.batch.groups[group].blockTables.append(contentsOf: sequences[index].blocks.tables[group].blocks)
            for _ in count..<width { step.batch.groups[group].blockTables.append(0) }
            for position in start..<start + Int(entry.tokens) {
                let block = sequences[index].blocks.tables[group].blocks[position / blockSize]
                step.batch.groups[group].slotMapping.append(block &* Int32(truncatingIfNeeded: blockSize) &+ Int32(truncatingIfNeeded: position % blockSize))
            }
        }
    }
}
