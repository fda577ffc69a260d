"""Access rules of images: upstream's names and defaults.

Targets: ``project_id`` and ``owner`` (the image's project), ``visibility``, and ``member_id`` (the caller's project
where the image is shared with it, or the member that is worked on).
"""

from __future__ import annotations

from kilonova.kernel.policy import ADMIN, ADMIN_OR_SERVICE, PROJECT_MEMBER, PROJECT_READER, Rule

_SEEN = (
    "project_id:%(project_id)s or project_id:%(member_id)s or 'community':%(visibility)s "
    "or 'public':%(visibility)s or 'shared':%(visibility)s"
)
READER = f"{ADMIN} or ({PROJECT_READER})"
MEMBER = f"{ADMIN} or ({PROJECT_MEMBER})"
READS_IMAGE = f"{ADMIN} or (role:reader and ({_SEEN}))"
USES_IMAGE = f"{ADMIN} or (role:member and ({_SEEN}))"
SHARES = f"{ADMIN} or (role:reader and (project_id:%(project_id)s or project_id:%(member_id)s))"
IS_MEMBER = f"{ADMIN} or (role:member and project_id:%(member_id)s)"

RULES: tuple[Rule, ...] = (
    Rule("default", "", "what no other rule names"),
    Rule("context_is_admin", ADMIN, "who is an administrator"),
    Rule(
        "add_image",
        f"{ADMIN} or ({PROJECT_MEMBER} and project_id:%(owner)s)",
        "create an image",
        (("POST", "/v2/images"),),
    ),
    Rule("delete_image", MEMBER, "delete an image", (("DELETE", "/v2/images/{image_id}"),)),
    Rule("get_image", READS_IMAGE, "show an image", (("GET", "/v2/images/{image_id}"),)),
    Rule("get_images", READER, "list images", (("GET", "/v2/images"),)),
    Rule("modify_image", MEMBER, "change an image, its tags too", (("PATCH", "/v2/images/{image_id}"),)),
    Rule("publicize_image", ADMIN, "make an image public", (("PATCH", "/v2/images/{image_id}"),)),
    Rule("communitize_image", MEMBER, "give an image to the community", (("PATCH", "/v2/images/{image_id}"),)),
    Rule("download_image", USES_IMAGE, "download the data", (("GET", "/v2/images/{image_id}/file"),)),
    Rule(
        "lend_image",
        ADMIN_OR_SERVICE,
        "let a host fetch the data of one image for a while",
        (("POST", "/v2/images/{image_id}/tickets"),),
    ),
    Rule("upload_image", MEMBER, "upload data", (("PUT", "/v2/images/{image_id}/file"),)),
    Rule("add_member", MEMBER, "share an image", (("POST", "/v2/images/{image_id}/members"),)),
    Rule("delete_member", MEMBER, "stop sharing an image", (("DELETE", "/v2/images/{image_id}/members/{member_id}"),)),
    Rule("get_member", SHARES, "show a member", (("GET", "/v2/images/{image_id}/members/{member_id}"),)),
    Rule("get_members", SHARES, "list members", (("GET", "/v2/images/{image_id}/members"),)),
    Rule(
        "modify_member",
        IS_MEMBER,
        "accept or reject a shared image",
        (("PUT", "/v2/images/{image_id}/members/{member_id}"),),
    ),
    Rule("deactivate", MEMBER, "deactivate an image", (("POST", "/v2/images/{image_id}/actions/deactivate"),)),
    Rule("reactivate", MEMBER, "reactivate an image", (("POST", "/v2/images/{image_id}/actions/reactivate"),)),
    Rule("stores_info_detail", ADMIN, "show the stores in detail", (("GET", "/v2/info/stores/detail"),)),
    Rule("delete_image_location", MEMBER, "delete from a store", (("DELETE", "/v2/stores/{store}/{image_id}"),)),
    Rule("tasks_api_access", ADMIN, "look at tasks", (("GET", "/v2/tasks"),)),
)
