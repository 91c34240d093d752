/// The four Unicode normal forms, as the crate `unicode-normalization-alignments` makes them: each scalar comes with a change
/// (0 replaces one, 1 is added, -n replaces one and drops the n after it), so that offsets can follow.
enum NormalForm: Sendable {
    case nfd, nfkd, nfc, nfkc

    private var isCompatible: Bool { self == .nfkd || self == .nfkc }
    private var composes: Bool { self == .nfc || self == .nfkc }

    /// Whether the text is in this form for sure, from a look at each scalar alone.
    func isCertain(for bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        guard !UTF8Text.isASCII(bytes), let base = bytes.baseAddress else { return true }
        let flag: UInt8 = composes ? (isCompatible ? 8 : 4) : (isCompatible ? 2 : 1)
        let flags = NormalizationTables.shared.flags
        var index = 0
        while index < bytes.count {
            let lead = base[index]
            // Below U+00A0 nothing changes in any form.
            if lead < 0xC2 || (lead == 0xC2 && base[index &+ 1] < 0xA0) {
                index &+= lead < 0x80 ? 1 : 2
                continue
            }
            let scalar = UTF8Text.scalar(base, index)
            if flags[Int(scalar)] & flag != 0 { return false }
            index &+= UTF8Text.width(lead)
        }
        return true
    }

    func apply(_ scalars: [UInt32]) -> [ScalarChange] {
        let decomposed = decompose(scalars)
        return composes ? compose(decomposed) : decomposed
    }

    private func decompose(_ scalars: [UInt32]) -> [ScalarChange] {
        let tables = NormalizationTables.shared
        var output: [ScalarChange] = []
        output.reserveCapacity(scalars.count + scalars.count / 4)
        // Start of the marks that still have to be put in order.
        var pending = 0
        func push(_ scalar: UInt32, first: Bool) {
            if tables.combiningClass(scalar) == 0 {
                sort(&output, from: pending, tables)
                output.append(ScalarChange(scalar: scalar, change: first ? 0 : 1))
                pending = output.count
            } else {
                output.append(ScalarChange(scalar: scalar, change: first ? 0 : 1))
            }
        }
        for scalar in scalars {
            if 0xAC00..<0xD7A4 ~= scalar {
                let index = scalar - 0xAC00
                push(0x1100 + index / 588, first: true)
                push(0x1161 + index % 588 / 28, first: false)
                if index % 28 != 0 { push(0x11A7 + index % 28, first: false) }
            } else if tables.flags[Int(scalar)] & (isCompatible ? 32 : 16) != 0,
                let parts = (isCompatible ? tables.compatible[scalar] : nil) ?? tables.canonical[scalar] {
                for (place, part) in parts.enumerated() { push(part, first: place == 0) }
            } else {
                push(scalar, first: true)
            }
        }
        sort(&output, from: pending, tables)
        return output
    }

    private func sort(_ output: inout [ScalarChange], from start: Int, _ tables: NormalizationTables) {
        guard output.count - start > 1 else { return }
        // Stable by hand for the usual few marks; long runs of marks go through the library sort, which is stable too.
        let marks = output[start...].enumerated().sorted {
            let a = tables.combiningClass($0.element.scalar), b = tables.combiningClass($1.element.scalar)
            return a != b ? a < b : $0.offset < $1.offset
        }
        for (place, mark) in marks.enumerated() { output[start + place] = mark.element }
    }

    private func compose(_ input: [ScalarChange]) -> [ScalarChange] {
        let tables = NormalizationTables.shared
        var output: [ScalarChange] = []
        output.reserveCapacity(input.count)
        // Place in `output` of the starter that later marks may join; class of the last mark kept after it.
        var starter = -1, lastClass = -1
        for item in input {
            let itemClass = Int(tables.combiningClass(item.scalar))
            if starter >= 0, lastClass < itemClass || lastClass == -1,
                let joined = tables.compose(output[starter].scalar, item.scalar) {
                output[starter].scalar = joined
                output[starter].change += item.change - 1
                continue
            }
            output.append(item)
            if itemClass == 0 {
                starter = output.count - 1
                lastClass = -1
            } else if starter >= 0 {
                lastClass = itemClass
            }
        }
        return output
    }
}

/// A scalar of a changed text and what it stands for in the text before: see `WorkText.transform`.
struct ScalarChange {
    var scalar: UInt32
    var change: Int
}
