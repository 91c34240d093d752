#if canImport(Glibc)
import Glibc
#endif

/// A local date and time of day.
package struct TemplateTime: Sendable, Equatable {
    package var year: Int, month: Int, day: Int, hour: Int, minute: Int, second: Int

    package init(year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0) {
        self.year = year
        self.month = month
        self.day = day
        self.hour = hour
        self.minute = minute
        self.second = second
    }

    /// Days from 1 January, which is 0.
    var dayOfYear: Int { Self.days(year, month, day) - Self.days(year, 1, 1) }

    /// 0 is Sunday.
    var weekday: Int { let day = (Self.days(year, month, day) + 4) % 7; return day < 0 ? day + 7 : day }

    /// Days since 1 January 1970.
    static func days(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let y = month <= 2 ? year - 1 : year
        let era = (y >= 0 ? y : y - 399) / 400
        let yearOfEra = y - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}

/// What `strftime_now` reads.
package struct TemplateClock: Sendable {
    package let now: @Sendable () -> TemplateTime

    package init(_ now: @escaping @Sendable () -> TemplateTime) { self.now = now }

    /// The machine's clock in its local time zone.
    package static let system = TemplateClock {
        var seconds = time(nil)
        var parts = tm()
        localtime_r(&seconds, &parts)
        return TemplateTime(
            year: Int(parts.tm_year) + 1900, month: Int(parts.tm_mon) + 1, day: Int(parts.tm_mday), hour: Int(parts.tm_hour),
            minute: Int(parts.tm_min), second: Int(parts.tm_sec))
    }

    package static func fixed(_ time: TemplateTime) -> TemplateClock { TemplateClock { time } }
}

extension TemplateTime {
    private static let weekdays = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
    private static let months = [
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
    ]

    /// `strftime` in the C locale, with glibc's flags.
    func formatted(_ format: String) throws -> String {
        var result = ""
        var scalars = Array(format.unicodeScalars)[...]
        while let scalar = scalars.popFirst() {
            guard scalar == "%" else {
                result.unicodeScalars.append(scalar)
                continue
            }
            var flag: Unicode.Scalar?, spent = "%"
            while let next = scalars.first, "-_0^#EO".unicodeScalars.contains(next) {
                if next != "E", next != "O" { flag = next }
                spent.unicodeScalars.append(next)
                scalars.removeFirst()
            }
            var width: Int?
            while let next = scalars.first, next.value >= 48, next.value <= 57, (width ?? 0) < 1000 {
                width = (width ?? 0) * 10 + Int(next.value - 48)
                spent.unicodeScalars.append(next)
                scalars.removeFirst()
            }
            guard let letter = scalars.popFirst() else {
                result += spent
                break
            }
            if let text = try part(letter, flag, width) {
                result += text
            } else {
                result += spent
                result.unicodeScalars.append(letter)
            }
        }
        return result
    }

    /// One conversion; nil for an unknown letter.
    private func part(_ letter: Unicode.Scalar, _ flag: Unicode.Scalar?, _ given: Int?) throws -> String? {
        func number(_ value: Int, _ standard: Int, blank: Bool = false) -> String {
            let width = given ?? standard
            let digits = String(value)
            if flag == "-" { return digits }
            let fill = flag == "_" || (blank && flag != "0") ? " " : "0"
            return String(repeating: fill, count: max(0, width - digits.utf8.count)) + digits
        }
        func name(_ text: String) -> String { flag == "^" || flag == "#" ? LetterCase.upper(text) : text }
        let twelve = hour % 12 == 0 ? 12 : hour % 12
        let weekday = Self.weekdays[self.weekday], month = Self.months[max(0, min(11, self.month - 1))]
        switch letter {
        case "Y": return flag == "-" || flag == nil ? String(year) : number(year, 4)
        case "C": return number(year / 100, 2)
        case "y": return number(year % 100, 2)
        case "m": return number(self.month, 2)
        case "B": return name(month)
        case "b", "h": return name(String(month.prefix(3)))
        case "d": return number(day, 2)
        case "e": return number(day, 2, blank: true)
        case "j": return number(dayOfYear + 1, 3)
        case "A": return name(weekday)
        case "a": return name(String(weekday.prefix(3)))
        case "u": return number(self.weekday == 0 ? 7 : self.weekday, 1)
        case "w": return number(self.weekday, 1)
        case "H": return number(hour, 2)
        case "k": return number(hour, 2, blank: true)
        case "I": return number(twelve, 2)
        case "l": return number(twelve, 2, blank: true)
        case "M": return number(minute, 2)
        case "S": return number(second, 2)
        case "f": return "000000"
        case "p": return flag == "#" ? (hour < 12 ? "am" : "pm") : hour < 12 ? "AM" : "PM"
        case "P": return hour < 12 ? "am" : "pm"
        case "U": return number((dayOfYear + 7 - self.weekday) / 7, 2)
        case "W": return number((dayOfYear + 7 - (self.weekday + 6) % 7) / 7, 2)
        case "V", "G", "g":
            let (isoYear, isoWeek) = isoWeek
            return letter == "V" ? number(isoWeek, 2) : letter == "G" ? number(isoYear, 4) : number(isoYear % 100, 2)
        case "s": return String(Self.days(year, self.month, day) * 86400 + hour * 3600 + minute * 60 + second)
        case "Z", "z": return ""
        case "n": return "\n"
        case "t": return "\t"
        case "%": return "%"
        case "D", "x": return try formatted("%m/%d/%y")
        case "F": return try formatted("%Y-%m-%d")
        case "T", "X": return try formatted("%H:%M:%S")
        case "R": return try formatted("%H:%M")
        case "r": return try formatted("%I:%M:%S %p")
        case "c": return try formatted("%a %b %e %H:%M:%S %Y")
        default: return nil
        }
    }

    /// Year and number of the ISO week: weeks start on Monday, the first one holds 4 January.
    private var isoWeek: (year: Int, week: Int) {
        let monday = (weekday + 6) % 7
        let week = (dayOfYear - monday + 10) / 7
        func weeks(_ year: Int) -> Int {
            let first = TemplateTime(year: year, month: 1, day: 1).weekday, last = TemplateTime(year: year, month: 12, day: 31).weekday
            return first == 4 || last == 4 ? 53 : 52
        }
        if week < 1 { return (year - 1, weeks(year - 1)) }
        return week > weeks(year) ? (year + 1, 1) : (year, week)
    }
}
