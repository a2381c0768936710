import DB
import Domain
import Volumes

/// Files of the store that are damaged or gone: they are made again from the sections, and are then what they were.
extension VolumePipeline {
  /// Products the rows rest on that are not in the folder any more, and what commits left when they were broken off.
  func compare(_ rows: [SectionRow]) {
    let open = Set(plan.unsettled)
    for row in rows where row.state == .final {
      guard let file = row.file, !file.isEmpty else { continue }
      if !products.contains(file) {
        lost.insert(row.z)
      } else if !open.contains(row.z), products.names(row.z).count > 1 {
        removeProducts(row.z, except: [file])
      }
    }
  }

  /// Whether the failure is that a product's file is damaged or gone. Then it is forgotten, and wanted again. The second time
  /// it is a failure like any other: the disk may damage whatever is written.
  func isMended(_ error: any Error) -> Bool {
    guard let error = error as? VolumeError, let slash = error.path.lastIndex(of: "/") else { return false }
    let name = String(error.path[error.path.index(after: slash)...])
    guard error.path == store.path(name), products.contains(name), let z = ProductIndex.section(name) else {
      return false
    }
    switch error {
    case .corrupt: break
    case .unreadable where !store.exists(name): break
    default: return false
    }
    log.warning("\(error); it is made again")
    do { try store.remove(name) } catch {
      log.warning("\(error)")
      return false
    }
    products.remove(name)
    made.remove(name)
    lost.insert(z)
    return mended.insert(name).inserted
  }

  /// Has lost products made again, while there is room.
  func wantLost() throws {
    for z in lost.sorted() {
      guard hasRoom else { return }
      guard let place = plan.place(of: z) else {
        lost.remove(z)
        continue
      }
      let product = wantedProduct(place)
      do {
        guard try want(product) else { continue }
        lost.remove(z)
        if products.contains(product.name) { log.notice("\(name) z \(z): \(product.name) is there again") }
      } catch let error where isGivenUp(z, error) {}
    }
  }

  /// Whether the failure to make a lost product again is one that only a person can mend. It is told once and stops nothing
  /// else; what cannot go on without the product will say so.
  func isGivenUp(_ z: SectionNumber, _ error: any Error) -> Bool {
    guard lost.contains(z), let error = error as? VolumeError else { return false }
    switch error {
    case .corrupt, .unreadable, .unsupported: break
    case .unwritable, .noSpace, .changed: return false
    }
    lost.remove(z)
    log.error("\(name) z \(z): its file in the store cannot be made again: \(error)")
    return true
  }

  /// Fragments of final rows have ids that tell what they were made by. Others must not take their file's place.
  /// - Throws: a sentence, if the configuration at hand makes other fragments than those the rows name.
  func checkRemaking(_ product: Product, signature: UInt32) throws {
    guard stages.watershed != nil, rows[product.z]?.state == .final, rows[product.z]?.file == product.name,
      let known = try record.firstFragment(volume: volume.id, z: product.z), known.signature != signature
    else { return }
    throw VolumeError.corrupt(
      path: store.path(product.name),
      reason:
        "it is lost, and the stages and options at hand would make other fragments than its rows name; put it back from "
        + "the backup, or go back to the options of run \(rows[product.z]?.runID ?? 0) (table fgnet.run)")
  }
}
