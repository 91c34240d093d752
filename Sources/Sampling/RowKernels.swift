/// Passes over a row of float32 logits, written so that they vectorise on baseline x86-64 and arm64. Sums run in an order that depends
/// only on the row's length, so that equal rows give equal tokens everywhere.
enum RowKernels {
    /// Elements per entry of the block maxima.
    static let block = 64

    /// Writes each block's maximum.
    /// - Parameter maxima: `[ceil(row.count / block)]`.
    /// - Returns: the row's maximum, or nil if it holds NaN or +inf.
    static func scan(_ row: UnsafeBufferPointer<Float>, maxima: UnsafeMutablePointer<Float>) -> Float? {
        guard let base = row.baseAddress else { return -.infinity }
        let whole = row.count / block
        let infinity = SIMD8<Float>(repeating: .infinity)
        var good = SIMDMask<SIMD8<Int32>>(repeating: true)
        var best = -Float.infinity
        for b in 0..<whole {
            let start = UnsafeRawPointer(base + b * block)
            var top = SIMD8<Float>(repeating: -.infinity)
            for j in 0..<block / 8 {
                let x = start.loadUnaligned(fromByteOffset: j * 32, as: SIMD8<Float>.self)
                good = good .& (x .< infinity)
                top.replace(with: x, where: x .> top)
            }
            let value = top.max()
            maxima[b] = value
            best = value > best ? value : best
        }
        var isGood = all(good)
        if whole * block < row.count {
            var top = -Float.infinity
            for i in whole * block..<row.count {
                let x = base[i]
                if !(x < .infinity) { isGood = false }
                top = x > top ? x : top
            }
            maxima[whole] = top
            best = top > best ? top : best
        }
        return isGood ? best : nil
    }

    /// The first index that holds `best`, given the block maxima.
    static func index(of best: Float, in row: UnsafeBufferPointer<Float>, maxima: UnsafePointer<Float>) -> Int32 {
        var b = 0
        while b * block < row.count {
            if maxima[b] == best {
                for i in b * block..<min(row.count, (b + 1) * block) where row[i] == best { return Int32(truncatingIfNeeded: i) }
            }
            b += 1
        }
        return 0
    }

    /// e to the `x`, for x up to 0; relative error below 1.5e-6; exactly 0 below -87.
    /// 2^(x log2 e) as the exponent's bits times a polynomial in the remainder, within ±1/2.
    @inline(__always)
    static func exp(_ x: Float) -> Float {
        let clamped = x > -87 ? x : -87
        let y = clamped * 1.442_695_04
        let shifted = y + 12_582_912  // 1.5 * 2^23: the low mantissa bits now hold round(y)
        let f = y - (shifted - 12_582_912)
        var q: Float = 1.535_336_188_3e-4
        q = q * f + 1.339_887_440_3e-3
        q = q * f + 9.618_437_357_7e-3
        q = q * f + 5.550_332_471_2e-2
        q = q * f + 2.402_264_791_4e-1
        q = q * f + 6.931_472_028_6e-1
        q = q * f + 1
        let value = Float(bitPattern: q.bitPattern &+ shifted.bitPattern << 23)
        return x > -87 ? value : 0
    }

    /// weights[i] = exp((row[i] - best) * inverseTemperature).
    /// - Parameter sums: `[ceil(count / block)]`, each block's sum.
    /// - Returns: the sum of all.
    static func softmaxWeights(
        _ row: UnsafeBufferPointer<Float>, best: Float, inverseTemperature: Float, into weights: UnsafeMutablePointer<Float>,
        sums: UnsafeMutablePointer<Float>
    ) -> Double {
        for i in 0..<row.count { weights[i] = exp((row[i] - best) * inverseTemperature) }
        var total = 0.0
        var b = 0
        while b * block < row.count {
            let sum = Self.sum(UnsafePointer(weights + b * block), min(block, row.count - b * block))
            sums[b] = sum
            total += Double(sum)
            b += 1
        }
        return total
    }

    /// Four interleaved partial sums.
    @inline(__always)
    static func sum(_ values: UnsafePointer<Float>, _ count: Int) -> Float {
        var a: Float = 0
        var b: Float = 0
        var c: Float = 0
        var d: Float = 0
        var i = 0
        while i + 4 <= count {
            a += values[i]
            b += values[i + 1]
            c += values[i + 2]
            d += values[i + 3]
            i += 4
        }
        while i < count {
            a += values[i]
            i += 1
        }
        return (a + b) + (c + d)
    }

    /// How many elements are strictly above `value`.
    static func count(above value: Float, in row: UnsafeBufferPointer<Float>) -> Int {
        var count: Int32 = 0
        for x in row { count &+= x > value ? 1 : 0 }
        return Int(count)
    }

    /// Standard deviation (of the population) of the finite elements.
    static func deviation(_ row: UnsafeBufferPointer<Float>) -> Double {
        var sum = 0.0
        var count = 0.0
        for x in row where x > -.infinity {
            sum += Double(x)
            count += 1
        }
        guard count > 0 else { return 0 }
        let mean = sum / count
        var squares = 0.0
        for x in row where x > -.infinity {
            let d = Double(x) - mean
            squares += d * d
        }
        return (squares / count).squareRoot()
    }
}
