extension DaemonCore {
  /// Reads the configuration file anew and goes on by its stages, in a new run. What is wrong with it is one line in the log,
  /// and all stays as it was.
  func reload() {
    manager.notify(ServiceManager.reloading)
    defer { manager.notify("READY=1") }
    let (new, maker, sets): (DaemonConfiguration, StageMaker, [StageSet])
    do {
      new = try DaemonConfiguration.load(path: configuration.path)
      maker = StageMaker(new, log: log)
      sets = try maker.make()
      try configuration.checkReload(new, reaches: zip(pipelines, sets).map { ($0.name, $0.stages.reach, $1.reach) })
    } catch {
      log.error("configuration not reloaded, the one before stays: \("\(error)".replacing("\n", with: "; "))")
      return
    }
    configuration = new
    log.notice("configuration \(new.path) read anew: it holds from the next section on")
    // Without a database the next connection goes by it.
    guard let record else { return }
    closePipelines()
    do { try openPipelines(record, maker, sets) } catch {
      log.warning("\(error); trying again")
      self.record = nil
    }
  }
}

extension DaemonConfiguration {
  /// Whether a running daemon can go on by another configuration.
  /// - Parameter reaches: of each volume, how far its results look now and would look then.
  /// - Throws: a sentence that says what takes a restart.
  func checkReload(
    _ new: DaemonConfiguration, reaches: [(volume: String, now: VolumePlan.Reach, then: VolumePlan.Reach)]
  ) throws {
    // Compared as text, so that no setting that is added later is forgotten.
    func differs<T>(_ setting: KeyPath<DaemonConfiguration, T>) -> Bool {
      String(reflecting: self[keyPath: setting]) != String(reflecting: new[keyPath: setting])
    }
    var changed: [String] = []
    if differs(\.stateDirectory) { changed.append("state_directory") }
    if differs(\.databaseURL) || differs(\.postgresBinaries) { changed.append("database") }
    if differs(\.volumes) { changed.append("volumes") }
    if differs(\.intake) { changed.append("intake") }
    if differs(\.web) { changed.append("http") }
    guard changed.isEmpty else {
      throw OperatorError("\(changed.joined(separator: ", ")) changed, which takes a restart", status: .configuration)
    }
    for (volume, now, then) in reaches where now != then {
      throw OperatorError(
        "volume \(volume): its results would look at \(then) sections (below, above) instead of \(now), so that all would be "
          + "made anew; restart to have that, or keep look_behind, look_ahead and the kind of model",
        status: .configuration)
    }
  }
}

extension VolumePlan.Reach: CustomStringConvertible {
  var description: String { "\(context + behind), \(context + ahead)" }
}
