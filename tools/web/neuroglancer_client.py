"""Neuroglancer's own web client, out of its Python package, on the daemon's addresses.

That package's client is shown by the package's own server, so it reads from the daemon as a page from elsewhere does: the daemon's
`http.allowed_origin` must name it.
"""

import json
import time
import urllib.parse

import neuroglancer


def check(browser, address, port, pictures):
    """What the dashboard's link asks for shows image and segments. `port`: for the client's server."""
    page = browser.page(1200, 800)
    page.open(address + "/")
    link = page.wait(
        "document.querySelector('.links a[target]')?.href.includes('#!') && document.querySelector('.links a[target]').href",
        60, "the dashboard has no link")
    page.errors.clear()
    neuroglancer.set_server_bind_address("127.0.0.1", port)
    client = neuroglancer.Viewer()
    client.set_state(neuroglancer.ViewerState(json.loads(urllib.parse.unquote(link.split("#!", 1)[1]))))
    page.open(client.get_viewer_url().replace("localhost", "127.0.0.1"))
    page.wait(
        "typeof viewer !== 'undefined' && viewer.layerManager?.managedLayers.length === 2", 120, "the layers are not there")
    page.wait("viewer.layerManager.managedLayers.every((one) => one.isReady())", 120, "the layers do not become ready")
    page.wait("viewer.isReady()", 240, "the chunks do not come")
    time.sleep(1)
    if pictures:
        pictures.mkdir(parents=True, exist_ok=True)
        page.screenshot(pictures / "neuroglancer.png")
    # The middle of the picture: lit where the image is, coloured where segments lie over it.
    lit, coloured = page.get(
        "(async () => { viewer.display.draw(); const made = await createImageBitmap(viewer.display.canvas);"
        " const one = new OffscreenCanvas(made.width, made.height); const c = one.getContext('2d'); c.drawImage(made, 0, 0);"
        " const d = c.getImageData(made.width * .4, made.height * .4, made.width * .2, made.height * .2).data;"
        " let lit = 0, coloured = 0; for (let i = 0; i < d.length; i += 4) {"
        " if (d[i] + d[i + 1] + d[i + 2] > 30) lit += 1;"
        " if (Math.max(d[i], d[i + 1], d[i + 2]) - Math.min(d[i], d[i + 1], d[i + 2]) > 12) coloured += 1; }"
        " return [lit / (d.length / 4), coloured / (d.length / 4)]; })()")
    assert lit > 0.9 and coloured > 0.3, f"{lit:.2f} of the picture is lit, {coloured:.2f} coloured"
    unexpected = [error for error in page.errors if "favicon" not in error]
    assert not unexpected, unexpected
    page.close()
    neuroglancer.stop()
    return f"{coloured:.2f} of the picture is coloured"
