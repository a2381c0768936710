/// Comma-separated values (RFC 4180): a line of names, then records. Fields with commas, quotes or line ends stand in double
/// quotes, a quote in them twice.
struct CSVTable {
  struct Record: Equatable {
    /// Line of the file where it begins, from 1.
    var line: Int
    var fields: [String]
  }

  /// Names of the columns, as written.
  var header: [String]
  /// Records that are not empty.
  var records: [Record]

  /// - Throws: a sentence that names the line.
  init(_ text: String) throws(OperatorError) {
    var found: [Record] = []
    var fields: [String] = []
    var field = ""
    var isQuoted = false
    // A field that was quoted ends at its closing quote.
    var isClosed = false
    var line = 1
    var start = 1
    func misplaced(_ line: Int) -> OperatorError {
      OperatorError(
        "line \(line): a quote within a field; put the whole field in quotes, and quotes in it twice", status: .badData)
    }
    func endRecord() {
      fields.append(field)
      if fields != [""] || isClosed { found.append(Record(line: start, fields: fields)) }
      (fields, field, isClosed) = ([], "", false)
    }
    var rest = Substring(text)
    if rest.unicodeScalars.first == "\u{FEFF}" { rest = rest.dropFirst() }
    var place = rest.startIndex
    while place < rest.endIndex {
      let character = rest[place]
      place = rest.index(after: place)
      if isQuoted {
        if character.isNewline { line += 1 }
        if character != "\"" {
          field.append(character)
        } else if place < rest.endIndex, rest[place] == "\"" {
          field.append("\"")
          place = rest.index(after: place)
        } else {
          (isQuoted, isClosed) = (false, true)
        }
      } else if character == "," {
        fields.append(field)
        (field, isClosed) = ("", false)
      } else if character.isNewline {
        endRecord()
        line += 1
        start = line
      } else if character == "\"" {
        if !field.isEmpty || isClosed { throw misplaced(line) }
        isQuoted = true
      } else {
        if isClosed { throw misplaced(line) }
        field.append(character)
      }
    }
    if isQuoted { throw OperatorError("line \(start): a quoted field does not end", status: .badData) }
    if !field.isEmpty || !fields.isEmpty || isClosed { endRecord() }
    guard let first = found.first else { throw OperatorError("there is no line of column names", status: .badData) }
    header = first.fields
    records = Array(found.dropFirst())
  }
}
