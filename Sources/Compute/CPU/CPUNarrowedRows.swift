import CKernels

/// The same rows of activations in every form that some products at hand take, one form after another in memory.
struct CPUNarrowedRows {
    /// Bit `nt_act.rawValue` for each form.
    let forms: UInt32
    let width: Int
    let rows: Int
    let base: UnsafeMutableRawPointer

    static func byteCount(forms: UInt32, width: Int, rows: Int) -> Int {
        var bytes = 0
        forEach(forms) { bytes += rows * CPUBackend.rowBytes(width, $0) }
        return bytes
    }

    static func bit(_ form: nt_act) -> UInt32 { 1 << UInt32(form.rawValue) }

    static func forEach(_ forms: UInt32, _ body: (nt_act) -> Void) {
        var left = forms
        while left != 0 {
            body(nt_act(rawValue: nt_act.RawValue(left.trailingZeroBitCount)))
            left &= left - 1
        }
    }

    /// The rows from `row` on in one of the forms.
    func rows(from row: Int, as form: nt_act) -> CPUBackend.Activations {
        let stride = CPUBackend.rowBytes(width, form)
        let before = Self.byteCount(forms: forms & (Self.bit(form) - 1), width: width, rows: rows)
        return CPUBackend.Activations(base: UnsafeRawPointer(base + before + row * stride), stride: stride, type: form)
    }

    /// A row in float32, where that is one of the forms.
    func floats(_ row: Int) -> UnsafePointer<Float> { rows(from: row, as: NT_ACT_F32).base.assumingMemoryBound(to: Float.self) }

    /// Where a row of one of the forms is written.
    func destination(_ row: Int, as form: nt_act) -> nt_out {
        let stride = CPUBackend.rowBytes(width, form)
        let before = Self.byteCount(forms: forms & (Self.bit(form) - 1), width: width, rows: rows)
        return nt_out(rows: base + before + row * stride, stride: stride, type: form)
    }
}
