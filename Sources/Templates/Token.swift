/// A literal of the source.
enum Constant: Sendable {
    case none
    case bool(Bool)
    case int(Int)
    case big(BigInt)
    case float(Double)
    case string(String)

    var value: Value {
        switch self {
        case .none: .none
        case .bool(let flag): .bool(flag)
        case .int(let number): .int(number)
        case .big(let number): .big(number)
        case .float(let number): .float(number)
        case .string(let text): .string(text)
        }
    }
}

enum Operator: String, Sendable {
    case add = "+", subtract = "-", divide = "/", floorDivide = "//", multiply = "*", modulo = "%", power = "**", tilde = "~"
    case leftBracket = "[", rightBracket = "]", leftParenthesis = "(", rightParenthesis = ")", leftBrace = "{", rightBrace = "}"
    case equal = "==", notEqual = "!=", greater = ">", greaterEqual = ">=", less = "<", lessEqual = "<="
    case assign = "=", dot = ".", colon = ":", pipe = "|", comma = ",", semicolon = ";"
}

struct Token: Sendable {
    enum Kind: Sendable {
        case data(String)
        case variableBegin, variableEnd, blockBegin, blockEnd
        case name(String)
        case string(String)
        case integer(Constant)
        case float(Double)
        case op(Operator)
        case end
    }

    let kind: Kind
    let line: Int

    func isName(_ name: String) -> Bool { if case .name(let own) = kind { own == name } else { false } }
    func isOperator(_ op: Operator) -> Bool { if case .op(let own) = kind { own == op } else { false } }
    var name: String? { if case .name(let name) = kind { name } else { nil } }
    var isBlockEnd: Bool { if case .blockEnd = kind { true } else { false } }
    var isEnd: Bool { if case .end = kind { true } else { false } }

    /// As error messages name it.
    var description: String {
        switch kind {
        case .data: "template data / text"
        case .variableBegin: "begin of print statement"
        case .variableEnd: "end of print statement"
        case .blockBegin: "begin of statement block"
        case .blockEnd: "end of statement block"
        case .name(let name): name
        case .string: "string"
        case .integer: "integer"
        case .float: "float"
        case .op(let op): op.rawValue
        case .end: "end of template"
        }
    }
}
