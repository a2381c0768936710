"""The pages, as a person uses them, while sections arrive."""

import json
import time

# A page learns by this refusal that a section has changed since it was asked for; browsers write every refusal to the console.
EXPECTED = "status of 409"


def unexpected(page):
    return [error for error in page.errors if EXPECTED not in error]


def check_dashboard_grows(browser, bench, address, send):
    """Sections that arrive are seen on an open page, without a reload."""
    page = browser.page()
    page.open(address + "/")
    page.wait("document.getElementById('state').textContent.startsWith('running')", 60, "the page does not follow the status")
    length = "cards.get('test')?.strip?.states?.length ?? 0"
    assert page.get(length) == 0, "sections before any came"
    last = 0
    for z in range(4):
        send(z)
        now = page.wait(f"({length}) > {last} && ({length})", 120, f"the strip does not grow with section {z}")
        assert now == last + 1, f"the strip grew from {last} to {now}"
        last = now
    page.wait("/[pf]/.test(cards.get('test').strip.states)", 300, "no section is segmented on the page")
    assert not unexpected(page), unexpected(page)
    page.close()


def check_dashboard_keyboard(browser, address):
    """The charts are drawn, and the strip can be used without a mouse."""
    page = browser.page()
    page.open(address + "/")
    page.wait("cards.get('test')?.strip?.states?.length > 3", 60, "no strip")
    page.wait("document.querySelector('.born path')?.getAttribute('d').length > 20", 60, "no chart of segments")
    page.get("document.querySelector('canvas.strip').focus()")
    page.key("Home")
    page.key("ArrowRight")
    text = page.get("document.querySelector('.strip-text').textContent")
    assert text.startswith("z 1:"), text
    page.is_loaded = False
    page.key("Enter", "\r")
    page.wait("location.pathname + location.hash === '/view#test/1'", 60, "Enter does not open the section")
    page.wait("document.getElementById('view')?.dataset.state === 'drawn'", 60, "the section is not drawn")
    assert not unexpected(page), unexpected(page)
    page.close()


def drawn(page, z):
    page.wait(
        f"view.shown?.section.z === {z} && canvas.dataset.state === 'drawn' && !isWaiting", 120, f"section {z} is not drawn")


def clicked(page, y, x):
    """Clicks on a pixel of the section; the id of the segment that the page then shows, or None."""
    place = page.get(
        "(() => { const box = canvas.getBoundingClientRect();"
        f" return [box.left + box.width / 2 + ({x} + .5 - view.centre[1]) * view.scale,"
        f" box.top + box.height / 2 + ({y} + .5 - view.centre[0]) * view.scale]; }})()")
    page.get("get('facts').replaceChildren(), say('')")
    page.click(*place)
    page.wait(
        "document.getElementById('segment-id') !== null || get('message').textContent === 'No segment there.'", 60,
        "a click shows nothing")
    return page.get("document.getElementById('segment-id')?.textContent ?? null")


def check_clicks(browser, bench, address, size):
    """A click shows the segment that SQL names at that pixel, now and at a past moment."""
    page = browser.page(1400, 1000)
    page.open(address + "/view#test/2")
    drawn(page, 2)
    shown = 0
    for y, x in [(size // 2, size // 2), (30, 40), (size - 20, 25), (100, size - 30), (77, 140), (5, 5)]:
        wanted = bench.sql(f"select segment_at('test', 2, {y}, {x})").strip() or None
        found = clicked(page, y, x)
        assert found == wanted, f"a click on y {y}, x {x} shows {found}, SQL says {wanted}"
        shown += found is not None
    assert shown >= 3, "hardly a segment was hit"
    # As it was when section 1 became final.
    page.get("get('as-of-on').click(), get('as-of').value = 1, get('as-of').dispatchEvent(new Event('change'))")
    page.wait("get('as-of-text').value === 'z 1 became final'", 60, "the moment is not taken")
    page.get("goTo(1)")
    drawn(page, 1)
    moment = int(page.get("view.asOf"))
    assert moment == int(bench.sql("select as_of('test', section => 1)")), moment
    for y, x in [(size // 2, size // 2), (30, 40), (size - 20, 25)]:
        wanted = bench.sql(f"select segment_at('test', 1, {y}, {x}, {moment})").strip() or None
        found = clicked(page, y, x)
        assert found == wanted, f"as of {moment} a click on y {y}, x {x} shows {found}, SQL says {wanted}"
    # Through z by the keyboard, and an ancestor by its link.
    page.get("get('as-of-on').click()")
    page.wait("view.asOf === null", 60, "now cannot be chosen again")
    page.get("goTo(1), canvas.focus()")
    drawn(page, 1)
    page.key(".", ".")
    drawn(page, 2)
    merged = bench.sql(
        "select segment_id, other_segment_id, operation_id from lineage"
        " where event = 'merged' and segment_id in (select segment_id from segments where state = 'live')"
        " order by lineage_id desc limit 1").strip()
    assert merged, "no two segments were merged: nothing to look at"
    survivor, other, operation = merged.split("|")
    page.get(f"choose({survivor}n)")
    page.wait("document.querySelectorAll('#history li').length > 0", 60, "no history")
    page.get(f"[...document.querySelectorAll('#history button')].find((one) => one.textContent === '{other}').click()")
    page.wait(
        f"document.getElementById('segment-id')?.textContent === '{other}' && view.asOf === {int(operation) - 1}", 60,
        "the ancestor is not shown as it was")
    assert not unexpected(page), unexpected(page)
    page.close()


def check_layers(browser, address):
    """Each overlay draws something of its own; one that a section does not have cannot be chosen, and says why."""
    page = browser.page(700, 700)
    page.open(address + "/view#test/2")
    drawn(page, 2)
    pictures = {}
    for value, name, disabled in page.get("[...get('layer').options].map((one) => [one.value, one.text, one.disabled])"):
        assert not disabled and "(" not in name, f"{name} cannot be chosen"
        page.get(f"get('layer').value = {json.dumps(value)}, get('layer').dispatchEvent(new Event('input'))")
        drawn(page, 2)
        pictures[name] = page.get("canvas.toDataURL()")
    assert len(set(pictures.values())) == len(pictures) == 7, f"{len(set(pictures.values()))} pictures of {list(pictures)}"
    page.get("nameLayers({products: 'a file', coarse: false})")
    names = page.get("[...get('layer').options].filter((one) => one.disabled).map((one) => one.text)")
    assert names == ["coarse affinities, y and x (not kept)", "coarse affinities, z (not kept)"], names
    page.get("goTo(1)")
    drawn(page, 1)
    assert page.get("[...get('layer').options].every((one) => !one.disabled && !one.text.includes('('))")
    assert not unexpected(page), unexpected(page)
    page.close()


def check_wrong_addresses(browser, address):
    """A wrong place is told in a sentence, and the page goes on."""
    page = browser.page()
    page.open(address + "/view#none/5")
    page.wait("view.volume === 'test'", 60, "an unknown volume leaves the page empty")
    for place in ["#test/99999999", "#test/x", "#%ff/1", "#test/2@999999999", "#test/2@x", "#<img src=x onerror=alert(1)>/1"]:
        page.get(f"location.hash = {json.dumps(place)}")
        page.wait("view.volume === 'test' && view.shown?.section.z === view.z", 60, f"{place} leaves the page without a section")
    assert not unexpected(page), unexpected(page)
    page.open(address + "/nothing")
    assert "error" in page.get("document.body.innerText"), "no sentence"
    page.close()


def check_what_is_written_is_text(browser, bench, address):
    """Names of files come from the microscope's computer: none is taken for a page's code."""
    path = bench.watched / "<img src=x onerror=document.title=1> z77.tif"
    path.write_bytes(b"II*\0 no picture")
    page = browser.page()
    page.open(address + "/")
    page.wait("document.querySelectorAll('#quarantine tbody tr').length === 1", 120, "the file set aside is not on the page")
    shown = page.get("document.querySelector('#quarantine td').textContent")
    assert shown == str(path), shown
    assert page.get("document.title") == "fgnetd"
    assert not unexpected(page), unexpected(page)
    page.close()
    path.unlink()


def pictures(browser, address, folder):
    """Pictures of the pages, light and dark."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, dark in [("light", False), ("dark", True)]:
        page = browser.page(1240, 860, dark)
        page.open(address + "/")
        page.wait("document.body.dataset.state === 'shown' && cards.get('test')?.strip?.states?.length > 3", 60, "no dashboard")
        time.sleep(1)
        page.screenshot(folder / f"dashboard-{name}.png")
        page.open(address + "/view#test/2")
        drawn(page, 2)
        width, height = page.get("[view.shown.section.width, view.shown.section.height]")
        for y, x in [(height * 0.55, width * 0.5), (height * 0.3, width * 0.4), (height * 0.6, width * 0.7)]:
            if clicked(page, int(y), int(x)):
                break
        drawn(page, 2)
        page.wait("document.querySelectorAll('#facts dt').length > 2", 60, "no facts")
        page.screenshot(folder / f"viewer-{name}.png")
        page.close()
