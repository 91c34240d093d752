/// Which methods each type has.
enum Methods {
    static let string: Set<String> = [
        "capitalize", "casefold", "center", "count", "encode", "endswith", "expandtabs", "find", "format", "format_map", "index", "isalnum",
        "isalpha", "isascii", "isdecimal", "isdigit", "isidentifier", "islower", "isnumeric", "isprintable", "isspace", "istitle",
        "isupper", "join", "ljust", "lower", "lstrip", "maketrans", "partition", "removeprefix", "removesuffix", "replace", "rfind",
        "rindex", "rjust", "rpartition", "rsplit", "rstrip", "split", "splitlines", "startswith", "strip", "swapcase", "title", "translate",
        "upper", "zfill",
    ]
    static let markup = string.union(["striptags", "unescape", "escape"])
    static let dict: Set<String> = ["keys", "values", "items", "get", "copy", "fromkeys"]
    static let list: Set<String> = ["index", "count", "copy"]
    static let tuple: Set<String> = ["index", "count"]
    static let int: Set<String> = ["bit_length", "bit_count", "conjugate", "as_integer_ratio", "to_bytes", "from_bytes"]
    static let float: Set<String> = ["is_integer", "as_integer_ratio", "conjugate", "hex", "fromhex"]
    static let loop: Set<String> = ["cycle", "changed"]
    static let cycler: Set<String> = ["next", "reset"]
    static let generator: Set<String> = ["send", "throw", "close"]
    static let view: Set<String> = ["isdisjoint"]

    static func names(of value: Value) -> Set<String> {
        switch value {
        case .string: string
        case .markup: markup
        case .dict: dict
        case .list: list
        case .tuple, .range: tuple
        case .int, .big, .bool: int
        case .float: float
        case .loop: loop
        case .cycler: cycler
        case .generator: generator
        case .view: view
        default: []
        }
    }

    private static let dictMutators: Set<String> = ["clear", "pop", "popitem", "setdefault", "update"]
    private static let listMutators: Set<String> = ["append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"]

    /// Methods the immutable sandbox refuses.
    static func mutators(of value: Value) -> Set<String> {
        switch value {
        case .dict: dictMutators
        case .list: listMutators
        default: []
        }
    }

    /// `__name__`: every Python object has some of these, none is for templates.
    static func isSpecial(_ name: String) -> Bool { special.contains(name) }

    private static let special: Set<String> = Set(
        """
        abs add and bool call ceil class class_getitem contains delattr delitem dict dir divmod doc eq float floor floordiv format func ge
        getattribute getitem getnewargs getstate globals gt hash html iadd imul index init init_subclass int invert ior iter le len lshift lt
        mod module mul name ne neg new next or pos pow radd rand rdivmod reduce reduce_ex repr reversed rfloordiv rlshift rmod rmul ror round
        rpow rrshift rshift rsub rtruediv rxor self setattr setitem sizeof slots str sub subclasshook text_signature truediv trunc weakref xor
        annotations builtins closure code defaults kwdefaults qualname mro bases base subclasses
        """.split { $0 == " " || $0 == "\n" }.map { "__\($0)__" })
}
