import Hummingbird

/// The files of the pages. They are part of the program; none is fetched from elsewhere.
enum Pages {
  static let files: [(path: RouterPath, type: String, bytes: [UInt8])] = [
    ("/", "text/html; charset=utf-8", PackageResources.dashboard_html),
    ("/view", "text/html; charset=utf-8", PackageResources.viewer_html),
    ("/style.css", "text/css; charset=utf-8", PackageResources.style_css),
    ("/common.js", "text/javascript; charset=utf-8", PackageResources.common_js),
    ("/dashboard.js", "text/javascript; charset=utf-8", PackageResources.dashboard_js),
    ("/view-data.js", "text/javascript; charset=utf-8", PackageResources.view_data_js),
    ("/view-draw.js", "text/javascript; charset=utf-8", PackageResources.view_draw_js),
    ("/viewer.js", "text/javascript; charset=utf-8", PackageResources.viewer_js),
    ("/openapi.yaml", "application/yaml", PackageResources.openapi_yaml),
  ]
}
