import { Type } from "@sinclair/typebox";
import type { Api } from "../app.ts";
import type { Context } from "../context.ts";
import type { ProjectId } from "../core/ids.ts";
import { answers } from "../http/wire.ts";
import { getUser } from "./get-user.ts";
import { listUsers } from "./list-users.ts";
import {
	fromUserCursor,
	ListUsersQuery,
	toListedUserWire,
	toUserCursor,
	toUserWire,
	UserAnswer,
	UsersAnswer,
} from "./wire.ts";

const tags = ["Users"];
const pageSize = 25;
const access = { scope: "credentials:read", reach: "project" } as const;
const params = Type.Object({ projectID: Type.Unsafe<ProjectId>(Type.String()) });
const oneParams = Type.Object({
	...params.properties,
	userID: Type.String({ description: "The provider's id, percent-encoded: `auth0%7C123`." }),
});

/** The users that auth providers brought, read from the project's own database. */
export function userRoutes(app: Api, ctx: Context): void {
	app.get("/v1/projects/:projectID/users", {
		config: { access },
		schema: {
			tags,
			operationId: "listUsers",
			params,
			querystring: ListUsersQuery,
			response: answers({ 200: UsersAnswer }),
		},
		handler: async ({ params: { projectID }, query }) => {
			const { users, next } = await listUsers(ctx, {
				projectId: projectID,
				search: query.search || null,
				includeDeleted: query.include_deleted ?? false,
				limit: query.limit ?? pageSize,
				after: query.cursor === undefined ? null : fromUserCursor(query.cursor),
			});
			return { users: users.map(toListedUserWire), next_cursor: toUserCursor(next) };
		},
	});

	app.get("/v1/projects/:projectID/users/:userID", {
		config: { access },
		schema: { tags, operationId: "getUser", params: oneParams, response: answers({ 200: UserAnswer }) },
		handler: async ({ params: { projectID, userID } }) => ({
			user: toUserWire(await getUser(ctx, { projectId: projectID, userId: userID })),
		}),
	});
}
