// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// Assets, what they grant (terms), what they are built from (edges), and who contributed to them.
/// kind: 0 dataset, 1 model, 2 agent, 3 app. relation: 0 DERIVED_FROM, 1 TRAINED_ON, 2 COMPOSED_OF, 3 FINETUNED_FROM.
contract AssetRegistry {
    event AssetRegistered(uint256 indexed assetId, address indexed owner, uint8 kind, bytes32 contentHash, string uri);
    event TermsSet(uint256 indexed assetId, uint32 version, address[] accounts, uint32[] bps);
    event EdgeAdded(uint256 indexed childId, uint256 indexed parentId, uint8 relation, uint32 bps);
    event ContributionRecorded(
        uint256 indexed assetId,
        address indexed contributor,
        bytes32 indexed taskId,
        uint8 kind,
        uint256 units,
        uint16 quality
    );

    error UnknownAsset(uint256 assetId);
    error NotOwner(uint256 assetId, address caller);
    error UnknownKind(uint8 kind);
    error UnknownRelation(uint8 relation);
    error BadTerms();
    error ParentNotOlder(uint256 childId, uint256 parentId);
    error EdgesAboveLimit(uint256 childId, uint256 bps);

    uint256 public constant BPS = 10_000;
    /// An asset keeps at least a tenth of what it is paid.
    uint256 public constant MAX_EDGE_BPS = 9_000;

    struct Asset {
        address owner;
        uint32 termsVersion;
        uint32 edgeBps;
        address[] accounts;
        uint32[] bps;
        uint256[] parents;
        uint32[] parentBps;
    }

    uint256 public count;
    mapping(uint256 => Asset) private _assets;

    modifier onlyOwnerOf(uint256 id) {
        if (_assets[id].owner != msg.sender) revert NotOwner(id, msg.sender);
        _;
    }

    function register(
        uint8 kind,
        bytes32 hash,
        string calldata uri,
        address[] calldata accounts,
        uint32[] calldata bps
    ) external returns (uint256 id) {
        if (kind > 3) revert UnknownKind(kind);
        id = ++count;
        _assets[id].owner = msg.sender;
        emit AssetRegistered(id, msg.sender, kind, hash, uri);
        _setTerms(id, accounts, bps);
    }

    function setTerms(uint256 id, address[] calldata accounts, uint32[] calldata bps) external onlyOwnerOf(id) {
        _setTerms(id, accounts, bps);
    }

    /// Ids rise and a parent must be older than its child, so edges can never form a cycle. An edge is frozen when added.
    function addEdge(uint256 child, uint256 parent, uint8 relation, uint32 bps) external onlyOwnerOf(child) {
        if (parent == 0 || parent >= child) revert ParentNotOlder(child, parent);
        if (relation > 3) revert UnknownRelation(relation);
        Asset storage asset = _assets[child];
        uint256 total = uint256(asset.edgeBps) + bps;
        if (total > MAX_EDGE_BPS) revert EdgesAboveLimit(child, total);
        asset.edgeBps = uint32(total);
        asset.parents.push(parent);
        asset.parentBps.push(bps);
        emit EdgeAdded(child, parent, relation, bps);
    }

    function contribute(uint256 id, bytes32 task, uint8 kind, uint256 units, uint16 quality) external {
        if (_assets[id].owner == address(0)) revert UnknownAsset(id);
        emit ContributionRecorded(id, msg.sender, task, kind, units, quality);
    }

    function ownerOf(uint256 id) external view returns (address) {
        return _assets[id].owner;
    }

    function terms(uint256 id) external view returns (uint32 version, address[] memory accounts, uint32[] memory bps) {
        Asset storage asset = _assets[id];
        return (asset.termsVersion, asset.accounts, asset.bps);
    }

    /// What one step of a settlement needs, in one call: edges in the order added, then the terms in force.
    function shares(
        uint256 id
    )
        external
        view
        returns (
            uint256[] memory parents,
            uint32[] memory parentBps,
            address[] memory accounts,
            uint32[] memory bps
        )
    {
        Asset storage asset = _assets[id];
        if (asset.owner == address(0)) revert UnknownAsset(id);
        return (asset.parents, asset.parentBps, asset.accounts, asset.bps);
    }

    function _setTerms(uint256 id, address[] calldata accounts, uint32[] calldata bps) private {
        if (accounts.length == 0 || accounts.length != bps.length) revert BadTerms();
        uint256 total;
        for (uint256 i; i < bps.length; ++i) {
            if (accounts[i] == address(0)) revert BadTerms();
            total += bps[i];
        }
        if (total != BPS) revert BadTerms();
        Asset storage asset = _assets[id];
        uint32 version = ++asset.termsVersion;
        asset.accounts = accounts;
        asset.bps = bps;
        emit TermsSet(id, version, accounts, bps);
    }
}
