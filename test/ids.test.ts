import { randomBytes } from "node:crypto";
import { expect, it } from "vitest";
import { fromUuid, isId, newId, toUuid } from "../src/core/ids.ts";

// The valid examples of the TypeID specification 0.3.
it.each([
	["00000000000000000000000000", "00000000-0000-0000-0000-000000000000"],
	["00000000000000000000000001", "00000000-0000-0000-0000-000000000001"],
	["0000000000000000000000000g", "00000000-0000-0000-0000-000000000010"],
	["00000000000000000000000010", "00000000-0000-0000-0000-000000000020"],
	["7zzzzzzzzzzzzzzzzzzzzzzzzz", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
	["0123456789abcdefghjkmnpqrs", "0110c853-1d09-52d8-d73e-1194e95b5f19"],
	["01h455vb4pex5vsknk084sn02q", "01890a5d-ac96-774b-bcce-b302099a8057"],
])("an id that ends in %s stands for the UUID %s", (suffix, uuid) => {
	expect(fromUuid("evt", uuid)).toBe(`evt_${suffix}`);
	expect(toUuid(`evt_${suffix}`)).toBe(uuid);
	expect(isId("evt", `evt_${suffix}`)).toBe(true);
});

it("every UUID comes back from its id", () => {
	const uuids = Array.from({ length: 1_000 }, () =>
		randomBytes(16)
			.toString("hex")
			.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-"),
	);
	expect(uuids.map((uuid) => toUuid(fromUuid("whd", uuid)))).toEqual(uuids);
});

it("ids sort in the order they were made", () => {
	const ids = Array.from({ length: 10_000 }, () => newId("evt"));
	expect(ids.toSorted()).toEqual(ids);
	expect(ids.map(toUuid).toSorted()).toEqual(ids.map(toUuid));
});

it.each([
	"",
	"evt_",
	"evt_8zzzzzzzzzzzzzzzzzzzzzzzzz",
	"evt_01H455VB4PEX5VSKNK084SN02Q",
	"whd_01h455vb4pex5vsknk084sn02q",
	"evt_01h455vb4pex5vsknk084sn02",
	"evt_01h455vb4pex5vsknk084sn02qq",
	"evt_01h455vb4pex5vsknk084sn02u",
])("%j is no id of an event", (text) => expect(isId("evt", text)).toBe(false));
