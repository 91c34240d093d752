internal import JSON
internal import Jobs

/// Members of an object but its first, with the comma before them.
extension JSONWriter {
    mutating func next(_ name: StaticString) {
        raw(",\"")
        raw(name)
        raw("\":")
    }

    mutating func next(_ name: StaticString, _ value: String?) {
        next(name)
        if let value { string(value) } else { raw("null") }
    }

    mutating func next(_ name: StaticString, _ value: Int?) {
        next(name)
        if let value { int(value) } else { raw("null") }
    }

    mutating func next(_ name: StaticString, _ value: Double?) {
        next(name)
        if let value { number(value) } else { raw("null") }
    }

    mutating func next(_ name: StaticString, _ value: Bool) {
        next(name)
        bool(value)
    }

    /// Milliseconds since 1970.
    mutating func next(_ name: StaticString, _ value: Timestamp?) { next(name, value?.milliseconds) }

    /// Without a fraction where there is none.
    mutating func number(_ value: Double) {
        if let whole = Int(exactly: value) { int(whole) } else { double(value) }
    }

    mutating func list<Element>(_ name: StaticString, _ elements: [Element], _ write: (Element, inout JSONWriter) -> Void) {
        next(name)
        raw("[")
        for (index, element) in elements.enumerated() {
            if index > 0 { raw(",") }
            write(element, &self)
        }
        raw("]")
    }
}
