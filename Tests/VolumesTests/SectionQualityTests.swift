import Domain
import Testing
import Volumes

/// Figures that tell a bad acquisition.
@Suite struct SectionQualityTests {
  private func image(_ values: [UInt16], width: Int, bitDepth: Int = 8) -> SectionImage {
    SectionImage(
      bitDepth: bitDepth, pixels: Plane(height: values.count / width, width: width, storage: values))
  }

  @Test func sharesOfTheEndsOfTheScale() {
    let eight = image([0, 0, 0, 255, 7, 8, 9, 10], width: 4).quality()
    #expect(eight.dark == 3.0 / 8 && eight.bright == 1.0 / 8)
    let sixteen = image([0, 255, 65535, 65535], width: 2, bitDepth: 16).quality()
    #expect(sixteen.dark == 0.25 && sixteen.bright == 0.5)
  }

  @Test func sharpnessIsDifferenceOverDeviation() throws {
    // 2 x 3 pixels: differences in rows 10, 20, 0, 30; in columns 5, 5, 5.
    let values: [UInt16] = [10, 20, 40, 15, 15, 45]
    let differences = [10.0, 20, 0, 30, 5, 5, 5]
    let mean = values.reduce(0.0) { $0 + Double($1) } / 6
    let variance = values.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / 6
    let expected = (differences.reduce(0) { $0 + $1 * $1 } / 7).squareRoot() / variance.squareRoot()
    let found = try #require(image(values, width: 3).quality().sharpness)
    #expect(abs(found - expected) < 1e-12)
  }

  @Test func aSmoothedImageIsLessSharp() throws {
    let (height, width) = (40, 50)
    let noise = (0..<(height * width)).map { UInt16(($0 &* 2_654_435_761) >> 7 & 0xFF) }
    var smooth = noise
    for y in 1..<(height - 1) {
      for x in 1..<(width - 1) {
        var sum = 0
        for dy in -1...1 { for dx in -1...1 { sum += Int(noise[(y + dy) * width + x + dx]) } }
        smooth[y * width + x] = UInt16(sum / 9)
      }
    }
    let (sharp, blurred) = (image(noise, width: width).quality(), image(smooth, width: width).quality())
    #expect(try #require(blurred.sharpness) < 0.8 * #require(sharp.sharpness))
  }

  @Test(arguments: [[5], [9, 9, 9, 9]] as [[UInt16]]) func anEvenImageHasNone(values: [UInt16]) {
    #expect(image(values, width: values.count > 1 ? 2 : 1).quality().sharpness == nil)
  }
}
